/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ends of threads and processes, and waiting for them. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "processes/burial.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"
#include "time/cpu_usage.h"

static int64_t do_exit(struct task *task, const uint64_t args[6])
{
    task_end(task, (int)(args[0] & 0xff) << 8);
    return SYSCALL_NO_RESULT;
}

static int64_t do_exit_group(struct task *task, const uint64_t args[6])
{
    process_end(task->process, (int)(args[0] & 0xff) << 8);
    return SYSCALL_NO_RESULT;
}

/* Which children a wait is for. */
struct child_filter {
    int32_t pid;  /* one child, or 0 */
    int32_t pgid; /* one group, or 0 */
};

static bool matches(const struct process *child, const struct child_filter *filter)
{
    return (!filter->pid || child->pid == filter->pid) && (!filter->pgid || child->pgid == filter->pgid);
}

/* A zombie that the filter lets through; *any says whether there is a child at all. */
static struct process *find_zombie(const struct process *parent, const struct child_filter *filter, bool *any)
{
    struct process *child;

    *any = false;
    for (child = parent->first_child; child; child = child->next_sibling) {
        if (!matches(child, filter))
            continue;
        *any = true;
        if (child->ended)
            return child;
    }
    return NULL;
}

static int64_t wait_for_child(struct task *task)
{
    int64_t result = task_wait_until(task, DEADLINE_NEVER);

    task->wait.for_child = true;
    return result;
}

/* The zombie to report; or NULL with *result set: no child, not yet, or the call waits. */
static struct process *take_zombie(struct task *task, const struct child_filter *filter, int options, int64_t *result)
{
    bool any;
    struct process *child = find_zombie(task->process, filter, &any);

    if (child)
        return child;
    if (!any)
        *result = -ECHILD;
    else if (options & WNOHANG)
        *result = 0;
    else
        *result = wait_for_child(task);
    return NULL;
}

static void reap(struct process *parent, struct process *child)
{
    cpu_usage_add_child(parent, child);
    process_retire(child);
}

static int64_t do_wait4(struct task *task, const uint64_t args[6])
{
    const int known = WNOHANG | WUNTRACED | WCONTINUED | __WALL | __WCLONE | __WNOTHREAD;
    int32_t pid = (int32_t)args[0];
    struct child_filter filter = {.pid = pid > 0 ? pid : 0};
    struct process *child;
    tg_transfer answers[2];
    size_t count = 0;
    struct rusage usage;
    uint32_t status;
    int64_t result;
    int err;

    if ((int)args[2] & ~known)
        return -EINVAL;
    /* The one number that has no positive twin names no group. */
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid == 0 || pid < -1)
        filter.pgid = pid == 0 ? task->process->pgid : -pid;
    child = take_zombie(task, &filter, (int)args[2], &result);
    if (!child)
        return result;
    result = child->pid;
    status = (uint32_t)child->wait_status;
    cpu_usage_of_child(child, &usage);
    if (args[1])
        answers[count++] = guest_writing(args[1], &status, sizeof(status));
    if (args[3])
        answers[count++] = guest_writing(args[3], &usage, sizeof(usage));
    err = guest_transfer(task_memory(task), answers, count);
    reap(task->process, child);
    return err ? err : result;
}

static int waitid_filter(const struct task *task, uint64_t type, uint64_t id, struct child_filter *filter)
{
    *filter = (struct child_filter){0};
    switch (type) {
    case P_ALL:
        return 0;
    case P_PID:
        filter->pid = (int32_t)id;
        return filter->pid > 0 ? 0 : -EINVAL;
    case P_PGID:
        filter->pgid = id ? (int32_t)id : task->process->pgid;
        return filter->pgid > 0 ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

static int64_t do_waitid(struct task *task, const uint64_t args[6])
{
    int options = (int)args[3];
    struct child_filter filter;
    struct process *child;
    struct rusage usage = {0};
    siginfo_t info = {0};
    tg_transfer answers[2];
    size_t count = 0;
    int64_t result = 0;
    int err = waitid_filter(task, args[0], args[1], &filter);

    if (err || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    child = take_zombie(task, &filter, options, &result);
    if (!child && result != 0)
        return result;
    if (child) {
        process_child_info(child, &info);
        cpu_usage_of_child(child, &usage);
    }
    if (args[2])
        answers[count++] = guest_writing(args[2], &info, sizeof(info));
    if (child && args[4])
        answers[count++] = guest_writing(args[4], &usage, sizeof(usage));
    err = guest_transfer(task_memory(task), answers, count);
    if (child && !(options & WNOWAIT))
        reap(task->process, child);
    return err;
}

const struct syscall_entry exit_wait_syscalls[] = {
    {SYS_exit, "exit", do_exit},
    {SYS_exit_group, "exit_group", do_exit_group},
    {SYS_wait4, "wait4", do_wait4},
    {SYS_waitid, "waitid", do_waitid},
};
const size_t exit_wait_syscalls_count = sizeof(exit_wait_syscalls) / sizeof(exit_wait_syscalls[0]);
