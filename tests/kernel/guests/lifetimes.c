/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Ends of processes and threads at the moment when something of the kernel
 * still points to them, and calls whose arguments change while they wait. Not
 * for a native run: some kill everything that they can reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define MS           1000
#define CHAIN_LENGTH 24

static char stack[65536];
static const char *own_path;

static long clone_with(long exit_signal)
{
    return syscall(SYS_clone, exit_signal, 0, 0, 0, 0);
}

static int status_of(pid_t child)
{
    int status = -1;

    return waitpid(child, &status, __WALL) == child ? status : -1;
}

/* A child's exit signal is a number of the guest's that the kernel keeps for later. */
static void exit_signals(void)
{
    int refused = 0;
    timer_t timer;

    for (long signo = 65; signo <= 255; signo++) {
        long child = clone_with(signo);
        if (child == 0)
            _exit(1);
        refused += child < 0 && errno == EINVAL;
    }
    REPORT(refused == 191);
    usleep(100 * MS);
    REPORT(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
}

/* Each link's end kills the one before it. */
static void link_chain(int left)
{
    while (left > 0 && clone_with(SIGKILL) == 0)
        left--;
    if (left == 0)
        _exit(0);
    for (;;)
        pause();
}

static void exit_signal_kills(void)
{
    pid_t child = fork();

    if (child == 0)
        link_chain(1);
    REPORT(status_of(child) == SIGKILL);
    child = fork();
    if (child == 0)
        link_chain(CHAIN_LENGTH);
    REPORT(status_of(child) == SIGKILL);
}

static volatile sig_atomic_t got_child, got_other;

static void take(int signo)
{
    got_child += signo == SIGCHLD;
    got_other += signo != SIGCHLD;
}

/* The first process gets an orphan's end by SIGCHLD, and a parent that of another program. */
static void exit_signal_is_reset(void)
{
    pid_t child;

    signal(SIGCHLD, take);
    signal(SIGUSR1, take);
    child = fork();
    if (child == 0) {
        if (clone_with(SIGUSR1) == 0) {
            usleep(100 * MS);
            _exit(0);
        }
        _exit(0);
    }
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
    REPORT(got_child > 0 && got_other == 0);
    got_child = 0;
    child = (pid_t)clone_with(SIGUSR1);
    if (child == 0) {
        execl(own_path, own_path, "nothing", (char *)NULL);
        _exit(1);
    }
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        ;
    REPORT(got_child == 1 && got_other == 0);
}

static void kill_everybody(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            sleep(20);
            _exit(0);
        }
    }
    usleep(100 * MS);
    if (fork() == 0) {
        kill(-1, SIGKILL);
        _exit(0);
    }
    usleep(300 * MS);
    REPORT(fork() != 0 || (_exit(0), 0));
}

static void kill_self(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            kill(getpid(), SIGKILL);
            _exit(0);
        }
    }
    usleep(300 * MS);
    REPORT(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static int sleep_and_exit(void *unused)
{
    const struct timespec time = {.tv_nsec = 300000000};

    (void)unused;
    nanosleep(&time, NULL);
    _exit(0);
}

static void *spawn(void *unused)
{
    clone(sleep_and_exit, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    return unused;
}

/* The allocator is asked for what a killed waiter of vfork left behind, with what the guest likes in it. */
static void fill_freed_memory(void)
{
    static struct pollfd fds[1000];

    for (int i = 0; i < 1000; i++)
        fds[i] = (struct pollfd){.fd = 3, .events = 0x4141};
    for (int i = 0; i < 50; i++)
        for (nfds_t count = 540; count < 580; count++)
            poll(fds, count, 0);
}

static void vfork_waiter_is_killed(void)
{
    pid_t child = fork();

    if (child == 0) {
        spawn(NULL);
        _exit(1);
    }
    usleep(100 * MS);
    kill(child, SIGKILL);
    REPORT(status_of(child) == SIGKILL);
    fill_freed_memory();
    usleep(500 * MS);
}

/* posix_spawn in one thread, exit in another. */
static void vfork_waiter_exits(void)
{
    pthread_t thread;
    pid_t child = fork();

    if (child == 0) {
        pthread_create(&thread, NULL, spawn, NULL);
        usleep(100 * MS);
        exit(7);
    }
    REPORT(status_of(child) == 7 << 8);
    fill_freed_memory();
    usleep(500 * MS);
}

/* ------------------------------------------------------------------------
 * Arguments that change while the call waits
 */

#define BIG 200000

static int ends[2];
static struct iovec spans[1024];
static char big[BIG];
static ssize_t written;

static void *write_spans(void *unused)
{
    written = writev(ends[1], spans, 1);
    close(ends[1]);
    return unused;
}

static void writev_gets_shorter(void)
{
    static char got[70000];
    ssize_t length, total = 0, foreign = 0;
    pthread_t thread;

    REPORT(pipe(ends) == 0);
    for (int i = 0; i < 1024; i++)
        spans[i] = (struct iovec){big, 0};
    for (int i = 0; i < 4; i++)
        writev(ends[1], spans, 1024);
    memset(big, 'x', sizeof(big));
    spans[0].iov_len = sizeof(big);
    pthread_create(&thread, NULL, write_spans, NULL);
    usleep(200 * MS);
    spans[0].iov_len = 0;
    while ((length = read(ends[0], got, sizeof(got))) > 0) {
        total += length;
        for (ssize_t i = 0; i < length; i++)
            foreign += got[i] != 'x';
    }
    pthread_join(thread, NULL);
    REPORT(written == BIG && total == BIG && foreign == 0);
}

static struct pollfd polled[2];
static struct timespec limit = {.tv_sec = 30};
static fd_set readable;
static sigset_t awaited;
static ssize_t result;

/* Waits in a thread for what `change` and a byte in the pipe do. */
static void check_changed(void *(*call)(void *), void (*change)(void), ssize_t expected)
{
    pthread_t thread;

    if (pipe(ends) != 0)
        return;
    result = -1;
    pthread_create(&thread, NULL, call, NULL);
    usleep(200 * MS);
    change();
    REPORT(write(ends[1], "x", 1) == 1);
    pthread_join(thread, NULL);
    REPORT(result == expected);
    close(ends[0]);
    close(ends[1]);
}

static void *call_poll(void *unused)
{
    polled[0] = (struct pollfd){.fd = ends[0], .events = POLLIN};
    limit = (struct timespec){.tv_sec = 30};
    result = ppoll(polled, 1, &limit, NULL);
    return unused;
}

static void spoil_poll(void)
{
    polled[0] = (struct pollfd){.fd = 999, .events = POLLOUT};
    limit = (struct timespec){.tv_sec = -1};
}

static void *call_select(void *unused)
{
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    result = select(ends[0] + 1, &readable, NULL, NULL, NULL);
    return unused;
}

static void spoil_select(void)
{
    memset(&readable, 0xff, sizeof(readable));
}

static void *call_readv(void *unused)
{
    spans[0] = (struct iovec){big, 100};
    result = readv(ends[0], spans, 1);
    return unused;
}

static void spoil_readv(void)
{
    spans[0] = (struct iovec){NULL, SIZE_MAX};
}

static void *call_sigtimedwait(void *unused)
{
    limit = (struct timespec){.tv_sec = 30};
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGUSR2);
    result = syscall(SYS_rt_sigtimedwait, &awaited, NULL, &limit, 8);
    return unused;
}

static void spoil_sigtimedwait(void)
{
    sigemptyset(&awaited);
    limit = (struct timespec){.tv_sec = -1};
    kill(getpid(), SIGUSR2);
}

static void arguments_change(void)
{
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    check_changed(call_poll, spoil_poll, 1);
    REPORT(polled[0].revents == POLLIN);
    check_changed(call_select, spoil_select, 1);
    check_changed(call_readv, spoil_readv, 1);
    check_changed(call_sigtimedwait, spoil_sigtimedwait, SIGUSR2);
}

static char lock_path[] = "/tmp/lifetimes-XXXXXX";
static struct flock lock;

static void *call_lock(void *unused)
{
    int fd = open(lock_path, O_RDWR);

    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    result = fcntl(fd, F_OFD_SETLKW, &lock);
    return unused;
}

static void locks_change(void)
{
    int fd = mkstemp(lock_path);
    pthread_t thread;

    REPORT(fd >= 0);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    REPORT(fcntl(fd, F_OFD_SETLK, &lock) == 0);
    pthread_create(&thread, NULL, call_lock, NULL);
    usleep(100 * MS);
    lock = (struct flock){.l_type = 77, .l_whence = 99};
    usleep(100 * MS);
    close(fd);
    pthread_join(thread, NULL);
    REPORT(result == 0);
    unlink(lock_path);
}

#define DESCRIPTORS_MAX 4096

/* The host has fewer descriptors than all of this asks for: calls fail, and work again when there are some. */
static void descriptors_run_out(void)
{
    static int fds[DESCRIPTORS_MAX];
    int count = 0, status = -1;
    char text[64];
    pid_t child;

    while (count < DESCRIPTORS_MAX && (fds[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    REPORT(count < DESCRIPTORS_MAX && (errno == EMFILE || errno == ENFILE));
    child = fork();
    if (child == 0)
        _exit(0);
    REPORT(child > 0 || errno == EAGAIN || errno == ENOMEM);
    if (child > 0)
        waitpid(child, NULL, 0);
    REPORT(pipe(ends) == -1 && (errno == EMFILE || errno == ENFILE));
    REPORT(open("/proc/self/maps", O_RDONLY) < 0);
    REPORT(readlink("/proc/self/fd/0", text, sizeof(text)) > 0);
    REPORT(execl("/nowhere", "nowhere", (char *)NULL) == -1);
    while (count > 0)
        close(fds[--count]);
    REPORT(pipe(ends) == 0);
    child = fork();
    if (child == 0)
        _exit(3);
    REPORT(child > 0 && waitpid(child, &status, 0) == child && status == 3 << 8);
}

static void nothing(void)
{
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"exit_signals", exit_signals},
    {"exit_signal_kills", exit_signal_kills},
    {"exit_signal_is_reset", exit_signal_is_reset},
    {"kill_everybody", kill_everybody},
    {"kill_self", kill_self},
    {"vfork_waiter_is_killed", vfork_waiter_is_killed},
    {"vfork_waiter_exits", vfork_waiter_exits},
    {"writev_gets_shorter", writev_gets_shorter},
    {"arguments_change", arguments_change},
    {"locks_change", locks_change},
    {"descriptors_run_out", descriptors_run_out},
    {"nothing", nothing},
};

int main(int argc, char **argv)
{
    own_path = argv[0];
    for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return report_status();
        }
    }
    fprintf(stderr, "lifetimes: which case?\n");
    return 2;
}
