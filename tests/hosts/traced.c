/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A tracer that follows everything and passes everything on, as `strace -f`. */
#include "hosts.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOLLOW (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

static bool is_job_control(int signo)
{
    return signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

/* Tracees that die meanwhile are met again by waitpid(2). */
static void pass_on(pid_t tid, int status)
{
    const int event = status >> 16;
    const int signo = WSTOPSIG(status);

    if (event == PTRACE_EVENT_STOP && is_job_control(signo))
        ptrace(PTRACE_LISTEN, tid, NULL, NULL);
    else
        ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)(event ? 0 : signo));
}

static _Noreturn void be_the_tracer(pid_t child, int ready)
{
    int status = 0;
    pid_t tid;

    CHECK_SYSTEM(ptrace(PTRACE_SEIZE, child, NULL, (void *)(uintptr_t)FOLLOW));
    CHECK_EQ(write(ready, "", 1), 1);
    do {
        tid = CHECK_SYSTEM(waitpid(-1, &status, __WALL));
        if (WIFSTOPPED(status))
            pass_on(tid, status);
    } while (tid != child || WIFSTOPPED(status));
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* This process becomes the tracer, and a child of it the demo. */
void be_traced(const struct environment *environment, long value)
{
    int ends[2];
    char byte;
    pid_t child;

    (void)environment;
    (void)value;
    CHECK_SYSTEM(pipe(ends));
    child = CHECK_SYSTEM(fork());
    if (child)
        be_the_tracer(child, ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_SYSTEM(close(ends[0]));
    CHECK_SYSTEM(close(ends[1]));
}
