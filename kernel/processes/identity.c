/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which process it is: numbers, groups of processes, names, and facts about the system. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "arch.h"
#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/identity_words.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

static int64_t do_getpid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_PID);
}

static int64_t do_getppid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_PPID);
}

static int64_t do_gettid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_TID);
}

static struct process *process_or_self(struct task *task, uint64_t pid)
{
    return (int32_t)pid == 0 ? task->process : process_find(task->sandbox, (int32_t)pid);
}

static int64_t do_getpgid(struct task *task, const uint64_t args[6])
{
    const struct process *process = process_or_self(task, args[0]);

    return process ? process->pgid : -ESRCH;
}

static int64_t do_getpgrp(struct task *task, const uint64_t args[6])
{
    (void)args;
    return task->process->pgid;
}

static int64_t do_getsid(struct task *task, const uint64_t args[6])
{
    const struct process *process = process_or_self(task, args[0]);

    return process ? process->sid : -ESRCH;
}

static bool group_exists(const struct process *process, int32_t pgid)
{
    for (const struct process *other = process->sandbox->processes; other; other = other->next)
        if (other->pgid == pgid && other->sid == process->sid)
            return true;
    return false;
}

static int64_t do_setpgid(struct task *task, const uint64_t args[6])
{
    struct process *process = process_or_self(task, args[0]);
    int32_t pgid = (int32_t)args[1];

    if (pgid < 0)
        return -EINVAL;
    if (!process || (process != task->process && process->parent != task->process))
        return -ESRCH;
    if (process->sid == process->pid || process->sid != task->process->sid)
        return -EPERM;
    if (process != task->process && process->has_execed)
        return -EACCES;
    pgid = pgid ? pgid : process->pid;
    if (pgid != process->pid && !group_exists(process, pgid))
        return -EPERM;
    process->pgid = pgid;
    return 0;
}

static int64_t do_setsid(struct task *task, const uint64_t args[6])
{
    struct process *process = task->process;

    (void)args;
    for (const struct process *other = task->sandbox->processes; other; other = other->next)
        if (other->pgid == process->pid)
            return -EPERM;
    process->sid = process->pgid = process->pid;
    return process->pid;
}

static int64_t do_set_tid_address(struct task *task, const uint64_t args[6])
{
    task->clear_child_tid = args[0];
    return task->tid;
}

/* The host's names and versions, so that a program behaves as it does there; the machine is the guest's. */
static int64_t do_uname(struct task *task, const uint64_t args[6])
{
    struct utsname names;

    if (uname(&names) != 0)
        return -errno;
    snprintf(names.machine, sizeof(names.machine), "%s", arch_name);
    return guest_write(task_memory(task), args[0], &names, sizeof(names));
}

static int64_t do_sysinfo(struct task *task, const uint64_t args[6])
{
    struct sysinfo info;
    uint16_t processes = 0;

    if (sysinfo(&info) != 0)
        return -errno;
    for (const struct process *process = task->sandbox->processes; process && processes < UINT16_MAX;
         process = process->next)
        processes++;
    info.procs = processes;
    return guest_write(task_memory(task), args[0], &info, sizeof(info));
}

const struct syscall_entry identity_syscalls[] = {
    {SYS_getpid, "getpid", do_getpid},
    {SYS_getppid, "getppid", do_getppid},
    {SYS_gettid, "gettid", do_gettid},
    {SYS_getpgid, "getpgid", do_getpgid},
    {SYSCALL_NR_OLDER, "getpgrp", do_getpgrp},
    {SYS_getsid, "getsid", do_getsid},
    {SYS_setpgid, "setpgid", do_setpgid},
    {SYS_setsid, "setsid", do_setsid},
    {SYS_set_tid_address, "set_tid_address", do_set_tid_address},
    {SYS_uname, "uname", do_uname},
    {SYS_sysinfo, "sysinfo", do_sysinfo},
};
const size_t identity_syscalls_count = sizeof(identity_syscalls) / sizeof(identity_syscalls[0]);
