/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Resource limits. */
#include <errno.h>
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

const struct syscall_entry limit_syscalls[] = {
    {SYS_prlimit64, "prlimit64", do_prlimit64},
    {SYSCALL_NR_OLDER, "getrlimit", do_getrlimit},
    {SYSCALL_NR_OLDER, "setrlimit", do_setrlimit},
};
const size_t limit_syscalls_count = sizeof(limit_syscalls) / sizeof(limit_syscalls[0]);
