/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* capget(2) and capset(2). What a capability allows is among guests only: the host knows nothing of it. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

#define HALVES _LINUX_CAPABILITY_U32S_3

/* How many halves of 32 bits each set has in this version; 0: it is none. */
static size_t halves_of(uint32_t version)
{
    switch (version) {
    case _LINUX_CAPABILITY_VERSION_1:
        return _LINUX_CAPABILITY_U32S_1;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        return HALVES;
    default:
        return 0;
    }
}

/* A program asks with version 0 for the one to use. */
static int read_header(struct task *task, uint64_t addr, struct __user_cap_header_struct *header, size_t *halves)
{
    if (guest_read(task_memory(task), addr, header, sizeof(*header)) != 0)
        return -EFAULT;
    *halves = halves_of(header->version);
    if (*halves)
        return 0;
    return guest_write_u32(task_memory(task), addr, _LINUX_CAPABILITY_VERSION_3) ? -EFAULT : -EINVAL;
}

static const struct process *process_of(struct task *task, int32_t tid)
{
    const struct task *other = tid ? task_find(task->sandbox, tid) : task;

    return other ? other->process : NULL;
}

static int64_t do_capget(struct task *task, const uint64_t args[6])
{
    struct __user_cap_data_struct data[HALVES];
    struct __user_cap_header_struct header;
    const struct process *process;
    size_t halves;
    int err = read_header(task, args[0], &header, &halves);

    if (err == -EINVAL && !args[1])
        return 0;
    if (err || !args[1])
        return err;
    process = process_of(task, header.pid);
    if (header.pid < 0 || !process)
        return header.pid < 0 ? -EINVAL : -ESRCH;
    for (size_t i = 0; i < HALVES; i++) {
        const struct capabilities *all = &process->credentials.capabilities;
        data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(all->effective >> 32 * i),
                                                  .permitted = (uint32_t)(all->permitted >> 32 * i),
                                                  .inheritable = (uint32_t)(all->inheritable >> 32 * i)};
    }
    return guest_write(task_memory(task), args[1], data, halves * sizeof(data[0]));
}

static bool is_subset(uint64_t set, uint64_t of)
{
    return (set & ~of) == 0;
}

static int change(struct credentials *credentials, const struct capabilities *wanted)
{
    struct capabilities *now = &credentials->capabilities;
    bool may_inherit_any = credentials_have(credentials, CAP_SETPCAP);

    if (!may_inherit_any && !is_subset(wanted->inheritable, now->inheritable | now->permitted))
        return -EPERM;
    if (!is_subset(wanted->inheritable, now->inheritable | now->bounding))
        return -EPERM;
    if (!is_subset(wanted->permitted, now->permitted) || !is_subset(wanted->effective, wanted->permitted))
        return -EPERM;
    now->effective = wanted->effective;
    now->permitted = wanted->permitted;
    now->inheritable = wanted->inheritable;
    return 0;
}

static int64_t do_capset(struct task *task, const uint64_t args[6])
{
    struct __user_cap_data_struct data[HALVES] = {{0}};
    struct __user_cap_header_struct header;
    struct capabilities wanted = {0};
    size_t halves;
    int err = read_header(task, args[0], &header, &halves);

    if (err)
        return err;
    if (header.pid != 0 && header.pid != task->tid)
        return -EPERM;
    if (guest_read(task_memory(task), args[1], data, halves * sizeof(data[0])) != 0)
        return -EFAULT;
    for (size_t i = 0; i < HALVES; i++) {
        wanted.effective |= (uint64_t)data[i].effective << 32 * i;
        wanted.permitted |= (uint64_t)data[i].permitted << 32 * i;
        wanted.inheritable |= (uint64_t)data[i].inheritable << 32 * i;
    }
    return change(&task->process->credentials, &wanted);
}

const struct syscall_entry capability_syscalls[] = {
    {SYS_capget, "capget", do_capget},
    {SYS_capset, "capset", do_capset},
};
const size_t capability_syscalls_count = sizeof(capability_syscalls) / sizeof(capability_syscalls[0]);
