/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What waiting for a stub thread says, and what is written down of it. */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "core/ptrace/guest_memory.h"
#include "core/ptrace/life.h"
#include "core/ptrace/stub_wait.h"

bool stub_status_is_death(int status)
{
    return WIFEXITED(status) || WIFSIGNALED(status);
}

bool stub_status_is_call(int status)
{
    const int stop = tgi_arch_ptrace->call_note ? SIGTRAP | PTRACE_EVENT_SECCOMP << 8 : SIGTRAP | 0x80;

    return status >> 8 == stop;
}

void stub_thread_reaped(struct stub_thread *thread)
{
    struct tg_subprocess *subprocess = &thread->subprocess->base;

    atomic_store(&thread->reaped, true);
    if (thread->tid == atomic_load(&subprocess->pid))
        atomic_store(&subprocess->pid, 0);
}

void stub_thread_died(struct stub_thread *thread, int status)
{
    stub_thread_reaped(thread);
    if (WIFSIGNALED(status))
        ptrace_subprocess_die(thread->subprocess, TG_DEAD_KILLED, WTERMSIG(status));
    else
        ptrace_subprocess_die(thread->subprocess, TG_DEAD_EXITED, WEXITSTATUS(status));
}

/*
 * A thread that has ended and waits to be reaped refuses like one that must
 * not be traced, and a dead first thread is not reported. But neither has an
 * address space any more.
 */
bool stub_thread_is_dead(const struct stub_thread *thread)
{
    return guest_memory_is_gone(thread->tid);
}

pid_t stub_thread_wait_first(struct stub_thread *thread, int *status)
{
    for (unsigned int i = 0;; i++) {
        pid_t tid = waitpid(thread->tid, status, WNOHANG | __WALL | __WNOTHREAD);

        if (tid)
            return tid;
        if (i >= LOOKS_YIELDING && stub_thread_is_dead(thread))
            return 0;
        clock_pause_between_looks(i);
    }
}

pid_t stub_thread_wait_stop(struct stub_thread *thread, int *status, int options)
{
    pid_t tid;

    do
        tid = waitpid(thread->tid, status, options | __WALL | __WNOTHREAD);
    while (tid < 0 && errno == EINTR);
    return tid;
}

pid_t stub_thread_wait(struct stub_thread *thread, int *status)
{
    return thread->first ? stub_thread_wait_first(thread, status) : stub_thread_wait_stop(thread, status, 0);
}
