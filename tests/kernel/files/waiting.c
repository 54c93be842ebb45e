/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Files that make a thread wait while others go on: pipes, counters, timers, poll, select and epoll. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attempt.h"

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static long elapsed_ms(const struct timespec *since)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* Writes a word to a descriptor a little later, from another thread. */
static void *write_later(void *argument)
{
    pause_ms(30);
    if (write(*(int *)argument, "wakeup!\1", 8) != 8)
        puts("the late write failed");
    return NULL;
}

static pthread_t start_writer(int *fd)
{
    pthread_t thread;

    pthread_create(&thread, NULL, write_later, fd);
    return thread;
}

static void pipes(void)
{
    static char block[200000];
    int ends[2];
    char text[64] = "";
    pthread_t writer;

    ATTEMPT(pipe(ends));
    writer = start_writer(&ends[1]);
    ATTEMPT(read(ends[0], text, sizeof(text)));
    pthread_join(writer, NULL);
    ATTEMPT(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    ATTEMPT(read(ends[0], text, sizeof(text)));
    ATTEMPT(fcntl(ends[1], F_SETFL, O_NONBLOCK));
    ATTEMPT(write(ends[1], block, sizeof(block)));
    ATTEMPT(write(ends[1], block, 1));
    ATTEMPT(read(ends[0], block, sizeof(block)));
    ATTEMPT(close(ends[1]));
    ATTEMPT(read(ends[0], text, sizeof(text)));
    ATTEMPT(pipe(ends));
    ATTEMPT(close(ends[0]));
    signal(SIGPIPE, SIG_IGN);
    ATTEMPT(write(ends[1], "x", 1));
    ATTEMPT(pipe((int *)16));
    ATTEMPT(pipe2(ends, 1));
}

static void *close_later(void *fd)
{
    pause_ms(30);
    close(*(int *)fd);
    return NULL;
}

static void *drain(void *argument)
{
    static char block[8192];
    long total = 0;
    ssize_t got;

    pause_ms(20);
    while ((got = read(*(int *)argument, block, sizeof(block))) > 0)
        total += got;
    return (void *)total;
}

/* A call comes back when all is written, however often it has to wait, and all bytes arrive. */
static void large_writes(void)
{
    static char block[1000000];
    struct iovec parts[3] = {{block, 150000}, {block, 0}, {block, 70001}};
    pthread_t reader;
    void *total;
    int ends[2];

    ATTEMPT(pipe(ends));
    pthread_create(&reader, NULL, drain, &ends[0]);
    ATTEMPT(write(ends[1], block, sizeof(block)));
    ATTEMPT(writev(ends[1], parts, 3));
    ATTEMPT(write(ends[1], block, 0));
    close(ends[1]);
    pthread_join(reader, &total);
    ATTEMPT((long)total);
    close(ends[0]);
}

/* Bytes of different places tell whether the second half starts where the first one ended. */
static void large_write_in_order(void)
{
    static unsigned int sent[50000];
    static unsigned int got[50000];
    size_t length = 0;
    ssize_t part;
    int ends[2];

    for (unsigned int i = 0; i < 50000; i++)
        sent[i] = i;
    ATTEMPT(pipe(ends));
    fflush(stdout);
    if (fork() == 0) {
        close(ends[0]);
        _exit(write(ends[1], sent, sizeof(sent)) == sizeof(sent) ? 0 : 1);
    }
    close(ends[1]);
    while ((part = read(ends[0], (char *)got + length, sizeof(got) - length)) > 0)
        length += (size_t)part;
    ATTEMPT(length);
    ATTEMPT(memcmp(sent, got, sizeof(sent)));
    ATTEMPT(wait(NULL) > 0);
    close(ends[0]);
}

static void note_alarm(int signo)
{
    (void)signo;
}

/* A signal ends the wait: with what is written, or -EINTR when that is nothing. A reader that goes away as well. */
static void large_write_ends_early(void)
{
    static char block[300000];
    struct sigaction action = {.sa_handler = note_alarm};
    struct itimerval soon = {.it_value = {0, 50000}};
    pthread_t writer;
    int ends[2];

    ATTEMPT(sigaction(SIGALRM, &action, NULL));
    ATTEMPT(pipe(ends));
    setitimer(ITIMER_REAL, &soon, NULL);
    ATTEMPT(write(ends[1], block, sizeof(block)));
    setitimer(ITIMER_REAL, &soon, NULL);
    ATTEMPT(write(ends[1], block, sizeof(block)));
    action.sa_flags = SA_RESTART;
    ATTEMPT(sigaction(SIGALRM, &action, NULL));
    ATTEMPT(read(ends[0], block, 8192));
    setitimer(ITIMER_REAL, &soon, NULL);
    ATTEMPT(write(ends[1], block, sizeof(block)));
    ATTEMPT(read(ends[0], block, 8192));
    pthread_create(&writer, NULL, close_later, &ends[0]);
    ATTEMPT(write(ends[1], block, sizeof(block)));
    pthread_join(writer, NULL);
    ATTEMPT(write(ends[1], block, sizeof(block)));
    close(ends[1]);
}

static void counters_and_timers(void)
{
    unsigned long long value = 3;
    struct itimerspec soon = {.it_value = {0, 20000000}};
    int counter;
    int timer;
    pthread_t writer;

    ATTEMPT(counter = eventfd(5, EFD_SEMAPHORE));
    ATTEMPT(read(counter, &value, 8));
    ATTEMPT(value);
    ATTEMPT(read(counter, &value, 7));
    close(counter);
    ATTEMPT(counter = eventfd(0, 0));
    writer = start_writer(&counter);
    ATTEMPT(read(counter, &value, 8));
    pthread_join(writer, NULL);
    close(counter);
    ATTEMPT(timer = timerfd_create(CLOCK_MONOTONIC, 0));
    ATTEMPT(timerfd_settime(timer, 0, &soon, NULL));
    ATTEMPT(read(timer, &value, 8));
    ATTEMPT(value);
    close(timer);
}

static void polling(void)
{
    struct pollfd fds[3] = {{.fd = -1, .events = POLLIN}, {.fd = 99, .events = POLLIN}, {.events = POLLIN}};
    struct timespec start;
    pthread_t writer;
    int ends[2];

    ATTEMPT(pipe(ends));
    fds[2].fd = ends[0];
    ATTEMPT(poll(fds, 3, 0));
    printf("%x %x %x\n", fds[0].revents, fds[1].revents, fds[2].revents);
    clock_gettime(CLOCK_MONOTONIC, &start);
    ATTEMPT(poll(fds + 2, 1, 40));
    ATTEMPT(elapsed_ms(&start) >= 40);
    ATTEMPT(ppoll(fds + 2, 1, &(struct timespec){0, 2000000000}, NULL));
    ATTEMPT(poll(NULL, 0, 10));
    ATTEMPT(poll((struct pollfd *)16, 1, 0));
    writer = start_writer(&ends[1]);
    ATTEMPT(poll(fds + 2, 1, -1));
    printf("%x\n", fds[2].revents);
    pthread_join(writer, NULL);
    close(ends[1]);
    ATTEMPT(poll(fds + 2, 1, -1));
    printf("%x\n", fds[2].revents);
    close(ends[0]);
}

static void selecting(void)
{
    struct timeval timeout = {0, 30000};
    fd_set readers;
    fd_set writers;
    pthread_t writer;
    int ends[2];

    ATTEMPT(pipe(ends));
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(ends[0], &readers);
    FD_SET(ends[1], &writers);
    ATTEMPT(select(ends[1] + 1, &readers, &writers, NULL, NULL));
    ATTEMPT(FD_ISSET(ends[0], &readers) ? 1 : 0);
    ATTEMPT(FD_ISSET(ends[1], &writers) ? 1 : 0);
    FD_SET(ends[0], &readers);
    ATTEMPT(select(ends[0] + 1, &readers, NULL, NULL, &timeout));
    ATTEMPT(timeout.tv_sec + timeout.tv_usec);
    timeout = (struct timeval){1000, 0};
    FD_SET(ends[1], &writers);
    ATTEMPT(select(ends[1] + 1, NULL, &writers, NULL, &timeout));
    ATTEMPT(timeout.tv_sec >= 990 && timeout.tv_sec <= 1000);
    FD_SET(ends[0], &readers);
    writer = start_writer(&ends[1]);
    ATTEMPT(select(ends[0] + 1, &readers, NULL, NULL, NULL));
    pthread_join(writer, NULL);
    /* Linux looks at no descriptor above the size of the process's table, which is inherited: make it larger than that.
     */
    dup2(ends[0], 255);
    close(255);
    FD_SET(200, &readers);
    ATTEMPT(select(201, &readers, NULL, NULL, &timeout));
    ATTEMPT(select(-1, NULL, NULL, NULL, &timeout));
    timeout = (struct timeval){0, 1000};
    ATTEMPT(select(0, NULL, NULL, NULL, &timeout));
    close(ends[0]);
    close(ends[1]);
}

static void epolling(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788};
    struct epoll_event got[4];
    pthread_t writer;
    int plain = open("numbers", O_RDONLY);
    int epoll;
    int ends[2];

    ATTEMPT(epoll = epoll_create1(EPOLL_CLOEXEC));
    ATTEMPT(pipe(ends));
    ATTEMPT(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    ATTEMPT(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    ATTEMPT(epoll_ctl(epoll, EPOLL_CTL_ADD, plain, &event));
    ATTEMPT(epoll_ctl(epoll, EPOLL_CTL_ADD, 99, &event));
    ATTEMPT(epoll_ctl(plain, EPOLL_CTL_ADD, ends[0], &event));
    ATTEMPT(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[1], &event));
    ATTEMPT(epoll_wait(epoll, got, 4, 0));
    ATTEMPT(epoll_wait(epoll, got, 4, 20));
    ATTEMPT(epoll_wait(epoll, got, 0, 0));
    writer = start_writer(&ends[1]);
    ATTEMPT(epoll_wait(epoll, got, 4, -1));
    ATTEMPT(got[0].data.u64 == event.data.u64 && got[0].events == EPOLLIN);
    pthread_join(writer, NULL);
    ATTEMPT(close(ends[0]));
    ATTEMPT(epoll_wait(epoll, got, 4, 0));
    ATTEMPT(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
    ATTEMPT(epoll_create1(1));
    close(ends[1]);
    close(epoll);
    close(plain);
}

static void *write_fifo(void *path)
{
    int fd;

    pause_ms(30);
    fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, "fifo", 4) != 4)
        puts("the FIFO cannot be written");
    close(fd);
    return NULL;
}

static void fifos(void)
{
    char text[10];
    pthread_t writer;
    int fd;

    ATTEMPT(mkfifo("fifo", 0600));
    ATTEMPT(open("fifo", O_WRONLY | O_NONBLOCK));
    pthread_create(&writer, NULL, write_fifo, "fifo");
    ATTEMPT(fd = open("fifo", O_RDONLY));
    ATTEMPT(read(fd, text, sizeof(text)));
    pthread_join(writer, NULL);
    ATTEMPT(read(fd, text, sizeof(text)));
    close(fd);
    ATTEMPT(unlink("fifo"));
}

int main(void)
{
    close_range(3, ~0U, 0);
    pipes();
    large_writes();
    large_write_in_order();
    large_write_ends_early();
    counters_and_timers();
    polling();
    selecting();
    epolling();
    fifos();
    return 0;
}
