/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Who one is, asked so often that the calls are answered without an event
 * where they can be: by threads, children, orphans, and programs that a thread
 * has started. With a number: asks as often, and says nothing else.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#define ASKED   300
#define THREADS 4

static pid_t self(void)
{
    return (pid_t)syscall(SYS_getpid);
}

static pid_t parent(void)
{
    return (pid_t)syscall(SYS_getppid);
}

static pid_t thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Whether all of them say so each time. */
static int is(pid_t pid, pid_t ppid, pid_t tid)
{
    int right = 1;

    for (int i = 0; i < ASKED; i++)
        right = right && self() == pid && parent() == ppid && thread() == tid;
    return right;
}

static int ids_are(uid_t uid, gid_t gid)
{
    int right = 1;

    for (int i = 0; i < ASKED; i++)
        right = right && getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid;
    return right;
}

/* 0, and then the child has said that all was right. */
static int end_of(pid_t child)
{
    int status = -1;

    return waitpid(child, &status, 0) == child ? status : -1;
}

static void check_children(pid_t pid)
{
    pid_t child = fork();

    if (child == 0)
        _exit(!(self() != pid && is(self(), pid, self()) && ids_are(getuid(), getgid())));
    REPORT(end_of(child) == 0);
    REPORT(is(pid, parent(), pid));
}

/* Its child has its memory for so long. */
static void check_vfork(pid_t pid)
{
    volatile pid_t seen = 0;
    pid_t child = vfork();

    if (child == 0) {
        for (int i = 0; i < ASKED; i++)
            seen = self();
        _exit(parent() != pid || thread() != seen);
    }
    REPORT(seen == child);
    REPORT(end_of(child) == 0);
    REPORT(is(pid, parent(), pid));
}

static pid_t tids[THREADS];

static void *ask(void *place)
{
    pid_t tid = thread();

    *(pid_t *)place = is(self(), parent(), tid) ? tid : 0;
    return NULL;
}

static void check_threads(pid_t pid)
{
    pthread_t threads[THREADS];
    int differ = 1;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask, &tids[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        differ = differ && tids[i] != 0 && tids[i] != pid;
        for (int j = 0; j < i; j++)
            differ = differ && tids[i] != tids[j];
    }
    REPORT(differ);
}

/* Asks all the time until its parent has ended, and is somebody else's then. */
static void live_as_orphan(int told)
{
    pid_t first = parent();
    char right;

    if (write(told, "", 1) != 1)
        _exit(1);
    while (parent() == first)
        continue;
    right = parent() != 0 && parent() != first && is(self(), parent(), self());
    _exit(write(told, &right, 1) != 1);
}

static void check_orphan(void)
{
    char byte = 0;
    int told[2];
    pid_t child;

    REPORT(pipe(told) == 0);
    child = fork();
    if (child == 0) {
        if (fork() == 0)
            live_as_orphan(told[1]);
        _exit(read(told[0], &byte, 1) != 1);
    }
    REPORT(end_of(child) == 0);
    REPORT(read(told[0], &byte, 1) == 1 && byte == 1);
}

static char *program;

/* It is the process's first thread from then on. */
static void *start_program(void *pid)
{
    char *arguments[] = {program, "started", pid, NULL};

    execv(program, arguments);
    return NULL;
}

static void check_exec(void)
{
    pid_t child = fork();

    if (child == 0) {
        char text[16];
        pthread_t other;

        snprintf(text, sizeof(text), "%d", self());
        is(self(), parent(), thread());
        pthread_create(&other, NULL, start_program, text);
        pthread_join(other, NULL);
        _exit(1);
    }
    REPORT(end_of(child) == 0);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signo)
{
    (void)signo;
    alarms++;
}

/* Nothing but a signal ends this. */
static void check_signal(void)
{
    const struct itimerval soon = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000};
    const struct itimerval off = {0};
    const struct sigaction action = {.sa_handler = count_alarm};
    pid_t pid = self();
    int right = 1;

    REPORT(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    while (alarms < 3)
        right = right && self() == pid;
    REPORT(right && setitimer(ITIMER_REAL, &off, NULL) == 0);
}

/* And nothing but this a child that does nothing else. */
static void check_kill(void)
{
    pid_t child = fork();

    if (child == 0)
        for (;;)
            self();
    usleep(10000);
    REPORT(kill(child, SIGKILL) == 0 && end_of(child) == SIGKILL);
}

int main(int argc, char **argv)
{
    pid_t pid = self();

    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "started") == 0)
        return !(pid == atoi(argv[2]) && is(pid, parent(), pid));
    if (argc == 2) {
        for (int i = atoi(argv[1]); i > 0; i--)
            self();
        return 0;
    }
    REPORT(is(pid, parent(), pid));
    REPORT(ids_are(getuid(), getgid()));
    check_children(pid);
    check_vfork(pid);
    check_threads(pid);
    check_orphan();
    check_exec();
    check_signal();
    check_kill();
    return report_status();
}
