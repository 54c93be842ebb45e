/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* prctl(2) and personality(2): small settings of a process and of a thread. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* What Linux gives a process by default, and what guests are told: their timers are the embedder's. */
#define TIMER_SLACK_NS 50000

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

static int64_t set_dumpable(struct process *process, uint64_t value)
{
    if (value > 1)
        return -EINVAL;
    process->dumpable = value == 1;
    return 0;
}

/* 0: none. */
static int64_t set_parent_end_signal(struct process *process, uint64_t signo)
{
    if (signo && !signal_is_valid(signo))
        return -EINVAL;
    process->parent_end_signal = (int)signo;
    return 0;
}

static int64_t has_bounding(const struct credentials *credentials, uint64_t capability)
{
    if (capability > CAP_LAST_CAP)
        return -EINVAL;
    return (credentials->capabilities.bounding & CAPABILITY_BIT(capability)) != 0;
}

static int64_t drop_bounding(struct credentials *credentials, uint64_t capability)
{
    if (!credentials_have(credentials, CAP_SETPCAP))
        return -EPERM;
    if (capability > CAP_LAST_CAP)
        return -EINVAL;
    credentials->capabilities.bounding &= ~CAPABILITY_BIT(capability);
    return 0;
}

static int64_t set_keep_capabilities(struct credentials *credentials, uint64_t value)
{
    if (value > 1)
        return -EINVAL;
    credentials->keep_capabilities = value == 1;
    return 0;
}

static int64_t set_of_credentials(struct credentials *credentials, const uint64_t args[6])
{
    switch ((int)args[0]) {
    case PR_GET_KEEPCAPS:
        return credentials->keep_capabilities;
    case PR_SET_KEEPCAPS:
        return set_keep_capabilities(credentials, args[1]);
    case PR_CAPBSET_READ:
        return has_bounding(credentials, args[1]);
    case PR_CAPBSET_DROP:
        return drop_bounding(credentials, args[1]);
    default:
        return -EINVAL;
    }
}

static int64_t do_prctl(struct task *task, const uint64_t args[6])
{
    struct process *process = task->process;

    switch ((int)args[0]) {
    case PR_SET_NAME:
        return set_name(task, args[1]);
    case PR_GET_NAME:
        return guest_write(task_memory(task), args[1], task->name, sizeof(task->name));
    case PR_GET_DUMPABLE:
        return process->dumpable;
    case PR_SET_DUMPABLE:
        return set_dumpable(process, args[1]);
    case PR_SET_PDEATHSIG:
        return set_parent_end_signal(process, args[1]);
    case PR_GET_PDEATHSIG:
        return guest_write_u32(task_memory(task), args[1], (uint32_t)process->parent_end_signal);
    case PR_SET_CHILD_SUBREAPER:
        process->adopts_orphans = args[1] != 0;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return guest_write_u32(task_memory(task), args[1], process->adopts_orphans);
    /* There is no program that could gain privileges. */
    case PR_GET_NO_NEW_PRIVS:
        return 1;
    case PR_SET_NO_NEW_PRIVS:
        return args[1] == 1 ? 0 : -EINVAL;
    case PR_GET_TIMERSLACK:
        return TIMER_SLACK_NS;
    default:
        return set_of_credentials(&process->credentials, args);
    }
}

/* Kept and told; nothing comes of it. This number only asks. */
#define PERSONALITY_ASK UINT32_MAX

static int64_t do_personality(struct task *task, const uint64_t args[6])
{
    uint32_t old = task->process->personality;

    if ((uint32_t)args[0] != PERSONALITY_ASK)
        task->process->personality = (uint32_t)args[0];
    return old;
}

const struct syscall_entry prctl_syscalls[] = {
    {SYS_prctl, "prctl", do_prctl},
    {SYS_personality, "personality", do_personality},
};
const size_t prctl_syscalls_count = sizeof(prctl_syscalls) / sizeof(prctl_syscalls[0]);
