/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Users and groups: whom a process is, and whom it may become. Files know of
 * neither: they are opened with the embedder's rights.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/identity_words.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

#define SAME UINT32_MAX /* an id that is to stay as it is */

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

/* The rules are the same for users and groups: real, effective, saved, and that of files. */
struct id_set {
    uint32_t real, effective, saved, of_files;
};

static struct id_set user_ids(const struct credentials *ids)
{
    return (struct id_set){ids->uid, ids->euid, ids->suid, ids->fsuid};
}

static struct id_set group_ids(const struct credentials *ids)
{
    return (struct id_set){ids->gid, ids->egid, ids->sgid, ids->fsgid};
}

/* Who is somebody else now is nobody's to look into, and no parent's end is a reason to signal it. */
static void change_ids(struct process *process, const struct credentials *now)
{
    const struct credentials before = process->credentials;

    process->credentials = *now;
    credentials_follow_ids(&process->credentials, &before);
    if (before.euid != now->euid || before.egid != now->egid) {
        process->dumpable = false;
        process->parent_end_signal = 0;
    }
    identity_words_tell_all(process);
}

static int64_t become_user(struct task *task, const struct id_set *set)
{
    struct credentials now = task->process->credentials;

    now.uid = set->real;
    now.euid = set->effective;
    now.suid = set->saved;
    now.fsuid = set->of_files;
    change_ids(task->process, &now);
    return 0;
}

static int64_t become_group(struct task *task, const struct id_set *set)
{
    struct credentials now = task->process->credentials;

    now.gid = set->real;
    now.egid = set->effective;
    now.sgid = set->saved;
    now.fsgid = set->of_files;
    change_ids(task->process, &now);
    return 0;
}

/* setuid(2) and setgid(2). */
static int set_one(struct id_set *set, uint32_t id, bool privileged)
{
    if (id == SAME)
        return -EINVAL;
    if (!privileged && id != set->real && id != set->saved)
        return -EPERM;
    if (privileged)
        set->real = set->saved = id;
    set->effective = set->of_files = id;
    return 0;
}

/* setreuid(2) and setregid(2). */
static int set_two(struct id_set *set, uint32_t real, uint32_t effective, bool privileged)
{
    const struct id_set old = *set;
    bool real_is_known = real == SAME || real == old.real || real == old.effective;
    bool effective_is_known =
        effective == SAME || effective == old.real || effective == old.effective || effective == old.saved;

    if (!privileged && !(real_is_known && effective_is_known))
        return -EPERM;
    if (real != SAME)
        set->real = real;
    if (effective != SAME)
        set->effective = effective;
    if (real != SAME || (effective != SAME && effective != old.real))
        set->saved = set->effective;
    set->of_files = set->effective;
    return 0;
}

static bool is_one_of(const struct id_set *set, uint32_t id)
{
    return id == SAME || id == set->real || id == set->effective || id == set->saved;
}

/* setresuid(2) and setresgid(2). */
static int set_three(struct id_set *set, const uint64_t args[6], bool privileged)
{
    uint32_t *const ids[] = {&set->real, &set->effective, &set->saved};

    for (int i = 0; i < 3; i++)
        if (!privileged && !is_one_of(set, (uint32_t)args[i]))
            return -EPERM;
    for (int i = 0; i < 3; i++)
        if ((uint32_t)args[i] != SAME)
            *ids[i] = (uint32_t)args[i];
    set->of_files = set->effective;
    return 0;
}

static bool may_be_any_user(const struct task *task)
{
    return credentials_have(&task->process->credentials, CAP_SETUID);
}

static bool may_be_any_group(const struct task *task)
{
    return credentials_have(&task->process->credentials, CAP_SETGID);
}

static int64_t do_setuid(struct task *task, const uint64_t args[6])
{
    struct id_set set = user_ids(&task->process->credentials);
    int err = set_one(&set, (uint32_t)args[0], may_be_any_user(task));

    return err ? err : become_user(task, &set);
}

static int64_t do_setgid(struct task *task, const uint64_t args[6])
{
    struct id_set set = group_ids(&task->process->credentials);
    int err = set_one(&set, (uint32_t)args[0], may_be_any_group(task));

    return err ? err : become_group(task, &set);
}

static int64_t do_setreuid(struct task *task, const uint64_t args[6])
{
    struct id_set set = user_ids(&task->process->credentials);
    int err = set_two(&set, (uint32_t)args[0], (uint32_t)args[1], may_be_any_user(task));

    return err ? err : become_user(task, &set);
}

static int64_t do_setregid(struct task *task, const uint64_t args[6])
{
    struct id_set set = group_ids(&task->process->credentials);
    int err = set_two(&set, (uint32_t)args[0], (uint32_t)args[1], may_be_any_group(task));

    return err ? err : become_group(task, &set);
}

static int64_t do_setresuid(struct task *task, const uint64_t args[6])
{
    struct id_set set = user_ids(&task->process->credentials);
    int err = set_three(&set, args, may_be_any_user(task));

    return err ? err : become_user(task, &set);
}

static int64_t do_setresgid(struct task *task, const uint64_t args[6])
{
    struct id_set set = group_ids(&task->process->credentials);
    int err = set_three(&set, args, may_be_any_group(task));

    return err ? err : become_group(task, &set);
}

/* The answer is the old id, whether it has changed or not. */
static uint32_t set_id_of_files(struct id_set *set, uint32_t id, bool privileged)
{
    uint32_t old = set->of_files;

    if (id != SAME && (privileged || is_one_of(set, id)))
        set->of_files = id;
    return old;
}

static int64_t do_setfsuid(struct task *task, const uint64_t args[6])
{
    struct id_set set = user_ids(&task->process->credentials);
    uint32_t old = set_id_of_files(&set, (uint32_t)args[0], may_be_any_user(task));

    become_user(task, &set);
    return old;
}

static int64_t do_setfsgid(struct task *task, const uint64_t args[6])
{
    struct id_set set = group_ids(&task->process->credentials);
    uint32_t old = set_id_of_files(&set, (uint32_t)args[0], may_be_any_group(task));

    become_group(task, &set);
    return old;
}

static int64_t do_getgroups(struct task *task, const uint64_t args[6])
{
    const struct group_list *groups = task->process->credentials.groups;
    uint32_t count = groups ? groups->count : 0;

    if ((int32_t)args[0] < 0 || ((int32_t)args[0] > 0 && (uint32_t)args[0] < count))
        return -EINVAL;
    if ((int32_t)args[0] > 0 && count && guest_write(task_memory(task), args[1], groups->ids, 4 * (size_t)count) != 0)
        return -EFAULT;
    return count;
}

static int64_t do_setgroups(struct task *task, const uint64_t args[6])
{
    uint32_t count = (uint32_t)args[0];
    struct group_list *groups = NULL;

    if (!may_be_any_group(task))
        return -EPERM;
    if (count > GROUPS_MAX)
        return -EINVAL;
    if (count && !(groups = group_list_create(count)))
        return -ENOMEM;
    if (count && guest_read(task_memory(task), args[1], groups->ids, 4 * (size_t)count) != 0) {
        group_list_put(groups);
        return -EFAULT;
    }
    credentials_release(&task->process->credentials);
    task->process->credentials.groups = groups;
    return 0;
}

const struct syscall_entry user_id_syscalls[] = {
    {SYS_getuid, "getuid", do_getuid},          {SYS_geteuid, "geteuid", do_geteuid},
    {SYS_getgid, "getgid", do_getgid},          {SYS_getegid, "getegid", do_getegid},
    {SYS_getresuid, "getresuid", do_getresuid}, {SYS_getresgid, "getresgid", do_getresgid},
    {SYS_setuid, "setuid", do_setuid},          {SYS_setgid, "setgid", do_setgid},
    {SYS_setreuid, "setreuid", do_setreuid},    {SYS_setregid, "setregid", do_setregid},
    {SYS_setresuid, "setresuid", do_setresuid}, {SYS_setresgid, "setresgid", do_setresgid},
    {SYS_setfsuid, "setfsuid", do_setfsuid},    {SYS_setfsgid, "setfsgid", do_setfsgid},
    {SYS_getgroups, "getgroups", do_getgroups}, {SYS_setgroups, "setgroups", do_setgroups},
};
const size_t user_id_syscalls_count = sizeof(user_id_syscalls) / sizeof(user_id_syscalls[0]);
