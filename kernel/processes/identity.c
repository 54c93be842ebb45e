/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who and where a process is: ids, groups, names, and facts about the system. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
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

static int64_t do_getuid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_UID);
}

static int64_t do_geteuid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_EUID);
}

static int64_t do_getgid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_GID);
}

static int64_t do_getegid(struct task *task, const uint64_t args[6])
{
    (void)args;
    return identity_word(task, IDENTITY_EGID);
}

static int write_three(struct task *task, const uint64_t args[6], uint32_t a, uint32_t b, uint32_t c)
{
    int err = guest_write_u32(task_memory(task), args[0], a);

    if (!err)
        err = guest_write_u32(task_memory(task), args[1], b);
    return err ? err : guest_write_u32(task_memory(task), args[2], c);
}

static int64_t do_getresuid(struct task *task, const uint64_t args[6])
{
    const struct credentials *ids = &task->process->credentials;

    return write_three(task, args, ids->uid, ids->euid, ids->suid);
}

static int64_t do_getresgid(struct task *task, const uint64_t args[6])
{
    const struct credentials *ids = &task->process->credentials;

    return write_three(task, args, ids->gid, ids->egid, ids->sgid);
}

/* A guest has no privilege: it may only become what it is already. */
static int64_t only_own(uint32_t own, const uint64_t *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((uint32_t)wanted[i] != own && (uint32_t)wanted[i] != UINT32_MAX)
            return -EPERM;
    return 0;
}

static int64_t do_setuid(struct task *task, const uint64_t args[6])
{
    return only_own(task->process->credentials.uid, args, 1);
}

static int64_t do_setgid(struct task *task, const uint64_t args[6])
{
    return only_own(task->process->credentials.gid, args, 1);
}

static int64_t do_setreuid(struct task *task, const uint64_t args[6])
{
    return only_own(task->process->credentials.uid, args, 2);
}

static int64_t do_setregid(struct task *task, const uint64_t args[6])
{
    return only_own(task->process->credentials.gid, args, 2);
}

static int64_t do_setresuid(struct task *task, const uint64_t args[6])
{
    return only_own(task->process->credentials.uid, args, 3);
}

static int64_t do_setresgid(struct task *task, const uint64_t args[6])
{
    return only_own(task->process->credentials.gid, args, 3);
}

/* The one group is the process's own. */
static int64_t do_getgroups(struct task *task, const uint64_t args[6])
{
    if ((int32_t)args[0] < 0)
        return -EINVAL;
    if ((int32_t)args[0] == 0)
        return 1;
    return guest_write_u32(task_memory(task), args[1], task->process->credentials.gid) ? -EFAULT : 1;
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

static int64_t set_name(struct task *task, uint64_t addr)
{
    char name[sizeof(task->name)] = {0};
    ssize_t length = guest_read_string(task_memory(task), addr, name, sizeof(name));

    /* A longer name is cut. */
    if (length == -EFAULT)
        return -EFAULT;
    name[sizeof(name) - 1] = '\0';
    memcpy(task->name, name, sizeof(name));
    return 0;
}

static int64_t do_prctl(struct task *task, const uint64_t args[6])
{
    switch ((int)args[0]) {
    case PR_SET_NAME:
        return set_name(task, args[1]);
    case PR_GET_NAME:
        return guest_write(task_memory(task), args[1], task->name, sizeof(task->name));
    case PR_GET_DUMPABLE:
        return task->process->dumpable;
    case PR_SET_DUMPABLE:
        if (args[1] > 1)
            return -EINVAL;
        task->process->dumpable = args[1] == 1;
        return 0;
    /* There is no program that could gain privileges. */
    case PR_GET_NO_NEW_PRIVS:
        return 1;
    case PR_SET_NO_NEW_PRIVS:
        return args[1] == 1 ? 0 : -EINVAL;
    case PR_GET_KEEPCAPS:
        return 0;
    case PR_CAPBSET_READ:
        return args[1] <= 63 ? 0 : -EINVAL;
    case PR_GET_TIMERSLACK:
        return 50000;
    default:
        return -EINVAL;
    }
}

const struct syscall_entry identity_syscalls[] = {
    {SYS_getpid, "getpid", do_getpid},
    {SYS_getppid, "getppid", do_getppid},
    {SYS_gettid, "gettid", do_gettid},
    {SYS_getuid, "getuid", do_getuid},
    {SYS_geteuid, "geteuid", do_geteuid},
    {SYS_getgid, "getgid", do_getgid},
    {SYS_getegid, "getegid", do_getegid},
    {SYS_getresuid, "getresuid", do_getresuid},
    {SYS_getresgid, "getresgid", do_getresgid},
    {SYS_setuid, "setuid", do_setuid},
    {SYS_setgid, "setgid", do_setgid},
    {SYS_setreuid, "setreuid", do_setreuid},
    {SYS_setregid, "setregid", do_setregid},
    {SYS_setresuid, "setresuid", do_setresuid},
    {SYS_setresgid, "setresgid", do_setresgid},
    {SYS_getgroups, "getgroups", do_getgroups},
    {SYS_getpgid, "getpgid", do_getpgid},
    {SYSCALL_NR_OLDER, "getpgrp", do_getpgrp},
    {SYS_getsid, "getsid", do_getsid},
    {SYS_setpgid, "setpgid", do_setpgid},
    {SYS_setsid, "setsid", do_setsid},
    {SYS_set_tid_address, "set_tid_address", do_set_tid_address},
    {SYS_uname, "uname", do_uname},
    {SYS_sysinfo, "sysinfo", do_sysinfo},
    {SYS_prctl, "prctl", do_prctl},
};
const size_t identity_syscalls_count = sizeof(identity_syscalls) / sizeof(identity_syscalls[0]);
