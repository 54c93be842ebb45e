/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Record locks of guest processes. To the host all of them are one process, but
 * each open file description is one of its own to it: so every process has one
 * of each file that it locks, and the host keeps them apart, from each other
 * and from others on the host.
 *
 * As on Linux a lock belongs to a table of descriptors, and all of a file go
 * when any descriptor of it is closed there.
 */
#ifndef TRAPGATE_KERNEL_LOCK_OWNERS_H
#define TRAPGATE_KERNEL_LOCK_OWNERS_H

#include <stdint.h>
#include <sys/stat.h>

struct lock_owner {
    struct lock_owner *next;
    dev_t device;
    ino_t inode;
    int host_fd; /* open for this alone */
    int32_t pid; /* that F_GETLK tells others */
};

/* NULL: none of that file. */
const struct lock_owner *lock_owner_find(const struct lock_owner *first, const struct stat *file);

/* Adds one, which owns host_fd from now on. -ENOMEM: it is closed. */
int lock_owner_add(struct lock_owner **first, const struct stat *file, int host_fd, int32_t pid);

/* A descriptor that leads to the same file as fd is being closed. */
void lock_owners_drop(struct lock_owner **first, int fd);

void lock_owners_drop_all(struct lock_owner **first);

#endif
