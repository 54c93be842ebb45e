/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a stub process ends, and how long its record stays. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/ptrace/life.h"

void life_kill(pid_t pid)
{
    if (kill(pid, SIGKILL))
        syscall(SYS_tgkill, pid, pid, SIGKILL);
}

void ptrace_subprocess_die(struct ptrace_subprocess *subprocess, int32_t reason, int32_t status)
{
    uint32_t alive = ALIVE;
    pid_t pid;

    /* Reason and status are for those who see DEAD; nobody else writes them. */
    if (atomic_compare_exchange_strong(&subprocess->death, &alive, DYING)) {
        subprocess->death_reason = reason;
        subprocess->death_status = status;
        atomic_store(&subprocess->death, DEAD);
        if (reason != TG_DEAD_DESTROYED)
            count(subprocess->base.platform, COUNTER_DEATHS);
    }
    /* Nobody needs the number any more: memory operations find nobody from here on. */
    pid = atomic_exchange(&subprocess->base.pid, 0);
    if (pid > 0 && platform_is_ours(subprocess->base.platform))
        life_kill(pid);
}

void ptrace_subprocess_empty(struct ptrace_subprocess *subprocess)
{
    while (!list_empty(&subprocess->threads)) {
        struct stub_thread *thread = container_of(subprocess->threads.next, struct stub_thread, of_subprocess);

        list_remove(&thread->of_subprocess);
        free(thread);
    }
    pthread_mutex_destroy(&subprocess->lock);
    pthread_mutex_destroy(&subprocess->order_lock);
}

void ptrace_subprocess_release(struct ptrace_subprocess *subprocess)
{
    if (atomic_fetch_sub(&subprocess->refs, 1) != 1)
        return;
    ptrace_subprocess_empty(subprocess);
    mapping_table_destroy(&subprocess->base.mappings);
    free(subprocess);
}
