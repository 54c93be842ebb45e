/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Resource limits, and what a guest may ask about its scheduling. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* As the kernel's struct rlimit64: two 64-bit words, which is also the native struct rlimit. */
_Static_assert(sizeof(struct rlimit) == 16, "rlim_t has 64 bits");

static int set_limit(struct process *process, uint32_t resource, const struct rlimit *wanted)
{
    struct rlimit *limit = &process->limits[resource];

    if (wanted->rlim_cur > wanted->rlim_max)
        return -EINVAL;
    if (wanted->rlim_max > limit->rlim_max)
        return -EPERM;
    *limit = *wanted;
    return 0;
}

static int64_t limit_call(struct task *task, int32_t pid, uint64_t resource, uint64_t new_addr, uint64_t old_addr)
{
    struct process *process = pid == 0 ? task->process : process_find(task->sandbox, pid);
    struct rlimit wanted, old;
    int err = 0;

    if (!process || process->ended)
        return -ESRCH;
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    old = process->limits[resource];
    if (new_addr)
        err = guest_read(task_memory(task), new_addr, &wanted, sizeof(wanted));
    if (!err && new_addr)
        err = set_limit(process, (uint32_t)resource, &wanted);
    if (!err && old_addr)
        err = guest_write(task_memory(task), old_addr, &old, sizeof(old));
    return err;
}

static int64_t do_prlimit64(struct task *task, const uint64_t args[6])
{
    return limit_call(task, (int32_t)args[0], args[1], args[2], args[3]);
}

static int64_t do_getrlimit(struct task *task, const uint64_t args[6])
{
    return args[1] ? limit_call(task, 0, args[0], 0, args[1]) : -EFAULT;
}

static int64_t do_setrlimit(struct task *task, const uint64_t args[6])
{
    return args[1] ? limit_call(task, 0, args[0], args[1], 0) : -EFAULT;
}

static bool task_exists(struct task *task, uint64_t tid)
{
    return (int32_t)tid == 0 || task_find(task->sandbox, (int32_t)tid);
}

/* The guest's turn is over: others that are ready go first, because the loop takes events in order. */
static int64_t do_sched_yield(struct task *task, const uint64_t args[6])
{
    (void)task;
    (void)args;
    return 0;
}

/* The processors that the embedder may use are those that stubs run on. */
static int64_t do_sched_getaffinity(struct task *task, const uint64_t args[6])
{
    unsigned char mask[sizeof(cpu_set_t)];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);

    if (!task_exists(task, args[0]))
        return -ESRCH;
    if (size < 0)
        return -errno;
    if ((uint32_t)args[1] < (uint64_t)size || (args[1] & 7))
        return -EINVAL;
    return guest_write(task_memory(task), args[2], mask, (size_t)size) ? -EFAULT : size;
}

/* Where a guest runs is the library's decision; asking for it is answered as if it were heard. */
static int64_t do_sched_setaffinity(struct task *task, const uint64_t args[6])
{
    unsigned char first;

    if (!task_exists(task, args[0]))
        return -ESRCH;
    return args[1] ? guest_read(task_memory(task), args[2], &first, 1) : -EINVAL;
}

static int64_t do_sched_getscheduler(struct task *task, const uint64_t args[6])
{
    return task_exists(task, args[0]) ? SCHED_OTHER : -ESRCH;
}

static int64_t do_sched_getparam(struct task *task, const uint64_t args[6])
{
    return task_exists(task, args[0]) ? guest_write_u32(task_memory(task), args[1], 0) : -ESRCH;
}

static bool is_known_policy(int policy)
{
    return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE || policy == SCHED_FIFO ||
           policy == SCHED_RR;
}

static int64_t do_sched_setscheduler(struct task *task, const uint64_t args[6])
{
    if (!task_exists(task, args[0]))
        return -ESRCH;
    if (!is_known_policy((int)args[1]))
        return -EINVAL;
    return (int)args[1] == SCHED_OTHER ? 0 : -EPERM;
}

static int64_t do_sched_get_priority_max(struct task *task, const uint64_t args[6])
{
    int result = sched_get_priority_max((int)args[0]);

    (void)task;
    return result < 0 ? -errno : result;
}

static int64_t do_sched_get_priority_min(struct task *task, const uint64_t args[6])
{
    int result = sched_get_priority_min((int)args[0]);

    (void)task;
    return result < 0 ? -errno : result;
}

static int64_t do_getcpu(struct task *task, const uint64_t args[6])
{
    int err = 0;

    if (args[0])
        err = guest_write_u32(task_memory(task), args[0], 0);
    if (!err && args[1])
        err = guest_write_u32(task_memory(task), args[1], 0);
    return err;
}

const struct syscall_entry limit_syscalls[] = {
    {SYS_prlimit64, "prlimit64", do_prlimit64},
    {SYSCALL_NR_OLDER, "getrlimit", do_getrlimit},
    {SYSCALL_NR_OLDER, "setrlimit", do_setrlimit},
    {SYS_sched_yield, "sched_yield", do_sched_yield},
    {SYS_sched_getaffinity, "sched_getaffinity", do_sched_getaffinity},
    {SYS_sched_setaffinity, "sched_setaffinity", do_sched_setaffinity},
    {SYS_sched_getscheduler, "sched_getscheduler", do_sched_getscheduler},
    {SYS_sched_getparam, "sched_getparam", do_sched_getparam},
    {SYS_sched_setscheduler, "sched_setscheduler", do_sched_setscheduler},
    {SYS_sched_get_priority_max, "sched_get_priority_max", do_sched_get_priority_max},
    {SYS_sched_get_priority_min, "sched_get_priority_min", do_sched_get_priority_min},
    {SYS_getcpu, "getcpu", do_getcpu},
};
const size_t limit_syscalls_count = sizeof(limit_syscalls) / sizeof(limit_syscalls[0]);
