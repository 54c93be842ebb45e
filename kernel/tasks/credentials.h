/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Who a process is and what it may do among guests, by the rules of Linux. It
 * begins with what the embedder has. Files are opened with the embedder's
 * rights all the same, whatever a guest has become.
 *
 * Linux keeps this for each thread, and its C libraries change it in all
 * threads at once; here it is the process's.
 */
#ifndef TRAPGATE_KERNEL_CREDENTIALS_H
#define TRAPGATE_KERNEL_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#define GROUPS_MAX 65536 /* NGROUPS_MAX */

#define CAPABILITY_BIT(capability) (UINT64_C(1) << (capability))

struct group_list {
    uint32_t references;
    uint32_t count;
    uint32_t ids[];
};

struct capabilities {
    uint64_t effective, permitted, inheritable, bounding;
};

struct credentials {
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    struct group_list *groups; /* NULL: none */
    struct capabilities capabilities;
    bool keep_capabilities; /* PR_SET_KEEPCAPS */
};

/* Those of the embedder, as a program has them that it executes. 0 or -errno. */
int credentials_of_embedder(struct credentials *out);

/* For a child of the process that has them; and for one that ends. */
void credentials_copy(struct credentials *to, const struct credentials *from);
void credentials_release(struct credentials *credentials);

/* A list of this many, to be filled in, or NULL. The list of nobody is NULL. */
struct group_list *group_list_create(uint32_t count);
void group_list_put(struct group_list *list);

bool credentials_have(const struct credentials *credentials, int capability);

/* After ids have changed: what root had is gone with the last id that was root's. */
void credentials_follow_ids(struct credentials *now, const struct credentials *before);

/* For execve: a program of root's may do all that is not taken away for good, another nothing. */
void credentials_exec(struct credentials *credentials);

/* Whether one may signal the other. */
bool credentials_may_signal(const struct credentials *sender, const struct credentials *receiver);

#endif
