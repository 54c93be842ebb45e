/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/credentials.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct group_list *group_list_create(uint32_t count)
{
    struct group_list *list = calloc(1, sizeof(*list) + count * sizeof(list->ids[0]));

    if (!list)
        return NULL;
    list->references = 1;
    list->count = count;
    return list;
}

void group_list_put(struct group_list *list)
{
    if (list && --list->references == 0)
        free(list);
}

void credentials_copy(struct credentials *to, const struct credentials *from)
{
    *to = *from;
    if (to->groups)
        to->groups->references++;
}

void credentials_release(struct credentials *credentials)
{
    group_list_put(credentials->groups);
    credentials->groups = NULL;
}

static int read_groups(struct credentials *out)
{
    int count = getgroups(0, NULL);

    if (count < 0)
        return -errno;
    if (count == 0)
        return 0;
    out->groups = group_list_create((uint32_t)count);
    if (!out->groups)
        return -ENOMEM;
    count = getgroups(count, out->groups->ids);
    if (count < 0)
        return -errno;
    out->groups->count = (uint32_t)count;
    return 0;
}

/* None where the host does not say: then its own rules refuse more than ours would. */
static void read_capabilities(struct capabilities *out)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &header, data) == 0) {
        out->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
        out->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    }
    for (int capability = 0; capability < 64; capability++)
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
            out->bounding |= CAPABILITY_BIT(capability);
}

int credentials_of_embedder(struct credentials *out)
{
    *out = (struct credentials){.uid = getuid(), .euid = geteuid(), .gid = getgid(), .egid = getegid()};
    read_capabilities(&out->capabilities);
    credentials_exec(out);
    return read_groups(out);
}

bool credentials_have(const struct credentials *credentials, int capability)
{
    return (credentials->capabilities.effective & CAPABILITY_BIT(capability)) != 0;
}

static bool has_root(const struct credentials *ids)
{
    return ids->uid == 0 || ids->euid == 0 || ids->suid == 0;
}

void credentials_follow_ids(struct credentials *now, const struct credentials *before)
{
    struct capabilities *capabilities = &now->capabilities;

    if (has_root(before) && !has_root(now) && !now->keep_capabilities)
        capabilities->permitted = capabilities->effective = 0;
    if (before->euid == 0 && now->euid != 0)
        capabilities->effective = 0;
    if (before->euid != 0 && now->euid == 0)
        capabilities->effective = capabilities->permitted;
}

void credentials_exec(struct credentials *credentials)
{
    struct capabilities *capabilities = &credentials->capabilities;
    bool root = credentials->uid == 0 || credentials->euid == 0;

    credentials->suid = credentials->fsuid = credentials->euid;
    credentials->sgid = credentials->fsgid = credentials->egid;
    credentials->keep_capabilities = false;
    capabilities->permitted = root ? capabilities->bounding | capabilities->inheritable : 0;
    capabilities->effective = credentials->euid == 0 ? capabilities->permitted : 0;
}

bool credentials_may_signal(const struct credentials *sender, const struct credentials *receiver)
{
    return sender->euid == receiver->suid || sender->euid == receiver->uid || sender->uid == receiver->suid ||
           sender->uid == receiver->uid || credentials_have(sender, CAP_KILL);
}
