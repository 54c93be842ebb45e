/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Nice values, one for each thread. They are kept and told, and nothing else comes of them: whose turn it is decides
 * the host, among stubs that are all as nice as the embedder.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "syscall_handler.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

#define NICEST    19
#define LEAST     (-20)
#define RAW(nice) (20 - (nice)) /* above 0, as the raw call and RLIMIT_NICE have it */

/* who: 0 is the caller's own. */
static bool is_meant(const struct task *caller, int which, uint32_t who, const struct task *other)
{
    switch (which) {
    case PRIO_PROCESS:
        return (uint32_t)other->tid == (who ? who : (uint32_t)caller->tid);
    case PRIO_PGRP:
        return (uint32_t)other->process->pgid == (who ? who : (uint32_t)caller->process->pgid);
    default:
        return other->process->credentials.uid == (who ? who : caller->process->credentials.uid);
    }
}

static int set_nice(const struct task *caller, struct task *other, int nice)
{
    const struct process *process = other->process;
    uint32_t euid = caller->process->credentials.euid;

    if (euid != 0 && euid != process->credentials.uid && euid != process->credentials.euid)
        return -EPERM;
    if (nice < other->scheduling.nice && euid != 0 && (rlim_t)RAW(nice) > process->limits[RLIMIT_NICE].rlim_cur)
        return -EACCES;
    other->scheduling.nice = nice;
    return 0;
}

static int clamped(int nice)
{
    if (nice > NICEST)
        return NICEST;
    return nice < LEAST ? LEAST : nice;
}

/* Some may be refused while others change: the last refusal is the answer. -ESRCH: nobody was meant so far. */
static int later(int result, int err)
{
    return err || result == -ESRCH ? err : result;
}

static int64_t do_setpriority(struct task *task, const uint64_t args[6])
{
    const int which = (int)args[0];
    int result = -ESRCH;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    for (struct process *process = task->sandbox->processes; process; process = process->next) {
        for (struct task *other = process->tasks; other; other = other->next_in_process)
            if (is_meant(task, which, (uint32_t)args[1], other))
                result = later(result, set_nice(task, other, clamped((int)args[2])));
    }
    return result;
}

/* The least nice of those that are meant. */
static int64_t do_getpriority(struct task *task, const uint64_t args[6])
{
    const int which = (int)args[0];
    int result = -ESRCH;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    for (const struct process *process = task->sandbox->processes; process; process = process->next) {
        for (const struct task *other = process->tasks; other; other = other->next_in_process)
            if (is_meant(task, which, (uint32_t)args[1], other) && RAW(other->scheduling.nice) > result)
                result = RAW(other->scheduling.nice);
    }
    return result;
}

const struct syscall_entry nice_syscalls[] = {
    {SYS_getpriority, "getpriority", do_getpriority},
    {SYS_setpriority, "setpriority", do_setpriority},
};
const size_t nice_syscalls_count = sizeof(nice_syscalls) / sizeof(nice_syscalls[0]);
