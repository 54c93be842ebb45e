/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Signals into code that computes, into calls that are made again (by a site
 * of each kind that can be patched), into a sleep that goes on after a stop,
 * and one that ends threads which compute.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ALARMS 100
#define KICKS  20

static volatile int alarms, kicks;

static void count(int signal)
{
    if (signal == SIGALRM)
        alarms++;
    else
        kicks++;
}

static void compute_under_alarms(void)
{
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    volatile double x = 1;

    setitimer(ITIMER_REAL, &often, NULL);
    while (alarms < ALARMS)
        x = x * 1.0000001;
    setitimer(ITIMER_REAL, &never, NULL);
    puts("alarms came");
}

/* The number is set right in front of the call. */
__attribute__((noinline)) static long read_before(int fd, void *buffer, long length)
{
    long result;

    __asm__ volatile("mov $0, %%eax; syscall; jmp 1f; 1:"
                     : "=&a"(result)
                     : "D"((long)fd), "S"(buffer), "d"(length)
                     : "rcx", "r11", "memory");
    return result;
}

/* It is not, but what follows may move. */
__attribute__((noinline)) static long read_after(int fd, void *buffer, long length)
{
    long result;

    __asm__ volatile("xor %%eax, %%eax; nop; syscall; mov %%rdi, %%rdi; mov %%rsi, %%rsi; mov %%rdx, %%rdx"
                     : "=&a"(result)
                     : "D"((long)fd), "S"(buffer), "d"(length)
                     : "rcx", "r11", "memory");
    return result;
}

static void kick_and_write(pid_t reader, int to)
{
    for (int i = 0; i < KICKS; i++) {
        usleep(2000);
        kill(reader, SIGUSR1);
    }
    usleep(20000);
    _exit(write(to, "abc", 3) == 3 ? 7 : 8);
}

static void read_again(const char *name, long (*read_by)(int, void *, long))
{
    char bytes[8];
    int zero = open("/dev/zero", O_RDONLY), ends[2], status = 0;
    pid_t reader = getpid(), child;

    for (int i = 0; i < 500; i++) /* the site is hot */
        if (read_by(zero, bytes, sizeof(bytes)) != sizeof(bytes))
            puts("a short read");
    if (pipe(ends))
        return;
    kicks = 0;
    child = fork();
    if (!child)
        kick_and_write(reader, ends[1]);
    printf("%s: read %ld", name, read_by(ends[0], bytes, sizeof(bytes)));
    waitpid(child, &status, 0);
    printf(", kicked %s, status %d\n", kicks ? "indeed" : "never", WEXITSTATUS(status));
    close(zero);
    close(ends[0]);
    close(ends[1]);
}

static void sleep_across_a_stop(void)
{
    int status = 0;
    pid_t child = fork();

    if (!child) {
        const struct timespec time = {0, 150000000};
        _exit(nanosleep(&time, NULL) ? 1 : 9);
    }
    usleep(30000);
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    printf("slept across a stop: status %d\n", WEXITSTATUS(status));
}

static void *spin(void *never)
{
    while (!*(volatile int *)never)
        ;
    return NULL;
}

static void kill_spinning_threads(void)
{
    static int never;
    int status = 0;
    pid_t child = fork();

    if (!child) {
        pthread_t thread;
        pthread_create(&thread, NULL, spin, &never);
        spin(&never);
    }
    usleep(50000);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    printf("killed by %d\n", WTERMSIG(status));
}

int main(void)
{
    struct sigaction action = {.sa_handler = count};

    setvbuf(stdout, NULL, _IONBF, 0);
    sigaction(SIGALRM, &action, NULL);
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    compute_under_alarms();
    read_again("before", read_before);
    read_again("after", read_after);
    sleep_across_a_stop();
    kill_spinning_threads();
    return 0;
}
