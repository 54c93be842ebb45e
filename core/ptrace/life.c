/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a stub process ends. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/ptrace/clock_memory.h"
#include "core/ptrace/life.h"
#include "core/subprocess_life.h"

void life_kill(pid_t pid)
{
    if (kill(pid, SIGKILL))
        syscall(SYS_tgkill, pid, pid, SIGKILL);
}

void ptrace_subprocess_die(struct ptrace_subprocess *subprocess, int32_t reason, int32_t status)
{
    pid_t pid;

    if (subprocess_begin_death(&subprocess->base, reason, status))
        subprocess_end_death(&subprocess->base);
    /* Nobody needs the number any more: memory operations find nobody from here on. */
    pid = atomic_exchange(&subprocess->base.pid, 0);
    if (pid > 0 && platform_is_ours(subprocess->base.platform))
        life_kill(pid);
}

void ptrace_subprocess_empty(struct tg_subprocess *base)
{
    struct ptrace_subprocess *subprocess = to_ptrace_subprocess(base);

    while (!list_empty(&subprocess->threads)) {
        struct stub_thread *thread = container_of(subprocess->threads.next, struct stub_thread, of_subprocess);

        list_remove(&thread->of_subprocess);
        free(thread);
    }
    clock_memory_unmap(subprocess);
    pthread_mutex_destroy(&subprocess->lock);
    pthread_mutex_destroy(&subprocess->memory_lock);
}
