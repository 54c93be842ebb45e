/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The first process: makes leaders, one after the other, each with children and
 * threads of its own, and outlives them. "SEED [LEADERS]" starts a run, "again
 * SEED" is what a process becomes that replaces its program. The last line
 * counts what was done.
 */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_PATH    "/control"
#define LEADERS         12
#define CALLS_IN_A_LIFE 400
#define PATIENCE_MS     700

struct control *control;
const char *own_path;

static bool map_control(void)
{
    int fd = open(CONTROL_PATH, O_RDWR | O_CREAT, 0600);

    if (fd < 0 || ftruncate(fd, sizeof(*control)) != 0)
        return false;
    control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return control != MAP_FAILED;
}

static void make_files(void)
{
    mkdir("/folder", 0777);
    close(open("/a", O_CREAT | O_RDWR, 0666));
    close(open("/folder/c", O_CREAT | O_RDWR, 0666));
    symlink("folder", "/link");
    symlink("/loop", "/loop");
    mkfifo("/fifo", 0666);
}

void live(struct dice *dice)
{
    for (int i = 0; i < CALLS_IN_A_LIFE && !atomic_load(&control->stop); i++) {
        if (dice_once_in(dice, 8))
            act_at_random(dice);
        else
            call_at_random(dice);
    }
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

static void go_on(int signo)
{
    (void)signo;
}

static void lead(struct dice *dice)
{
    static const struct itimerval often = {{.tv_usec = 20000}, {.tv_usec = 20000}};

    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* A life shall not end with its first signal; what the processor raises would come again and again. */
    for (int signo = 1; signo <= SIGRTMAX; signo++)
        if (signo != SIGSEGV && signo != SIGBUS && signo != SIGILL && signo != SIGFPE && !dice_once_in(dice, 8))
            signal(signo, go_on);
    /* What would wait for ever is woken. */
    setitimer(ITIMER_REAL, &often, NULL);
    if (dice_once_in(dice, 3))
        signal(SIGCHLD, SIG_IGN);
    live(dice);
    _exit(0);
}

/* Whoever is left has no parent of its own any more, or never had one that waited. */
static void end_all(void)
{
    syscall(SYS_kill, -1, SIGKILL);
    for (int waited = 0; waited < PATIENCE_MS && waitpid(-1, NULL, WNOHANG | __WALL) >= 0; waited += 5)
        sleep_ms(5);
}

static void run_leader(struct dice *dice)
{
    struct dice child = dice_make(dice_throw(dice));
    pid_t leader = fork();
    int waited = 0;

    if (leader == 0)
        lead(&child);
    while (waited < PATIENCE_MS && waitpid(leader, NULL, WNOHANG) == 0) {
        sleep_ms(5);
        waited += 5;
    }
    if (dice_once_in(dice, 2))
        end_all();
    else
        syscall(SYS_kill, leader, SIGKILL);
}

static int run(uint64_t seed, uint64_t leaders)
{
    static const uint64_t all = UINT64_MAX;
    struct dice dice = dice_make(seed);

    /* By the call itself: the C library leaves out two signals of its own, with which the others would end this one. */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
    if (dice_once_in(&dice, 3))
        signal(SIGCHLD, SIG_IGN);
    make_files();
    for (uint64_t i = 0; i < leaders; i++)
        run_leader(&dice);
    /* Else the sandbox ends with processes in it. */
    if (!dice_once_in(&dice, 4)) {
        atomic_store(&control->stop, true);
        end_all();
    }
    printf("seed %llu: %ld calls, %ld processes, %ld threads, %ld programs\n", (unsigned long long)seed,
           atomic_load(&control->calls), atomic_load(&control->processes), atomic_load(&control->threads),
           atomic_load(&control->execs));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    own_path = argv[0];
    if (argc < 2 || !map_control())
        return 2;
    arguments_prepare();
    if (strcmp(argv[1], "again") == 0) {
        struct dice dice = dice_make(strtoull(argc > 2 ? argv[2] : "0", NULL, 10));
        live(&dice);
        return 0;
    }
    return run(strtoull(argv[1], NULL, 10), argc > 2 ? strtoull(argv[2], NULL, 10) : LEADERS);
}
