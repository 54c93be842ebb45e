/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The descriptors of a guest process: small numbers that lead to files.
 */
#ifndef TRAPGATE_KERNEL_FD_TABLE_H
#define TRAPGATE_KERNEL_FD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "files/file.h"
#include "files/lock_owners.h"

/* No guest gets more descriptors than this, whatever its RLIMIT_NOFILE says. */
#define FD_TABLE_MAX 65536

struct fd_slot {
    struct file *file; /* NULL: free */
    bool close_on_exec;
};

struct fd_table {
    uint32_t references;
    uint32_t capacity;
    uint32_t lowest_free; /* no slot below this is free */
    struct fd_slot *slots;
    struct lock_owner *lock_owners; /* of files that are open here */
};

/* NULL: no memory. */
struct fd_table *fd_table_create(void);
struct fd_table *fd_table_copy(const struct fd_table *from);
struct fd_table *fd_table_get(struct fd_table *table);
void fd_table_put(struct fd_table *table);

/* The file behind a descriptor, borrowed; NULL when it is not open. */
static inline struct file *fd_table_file(const struct fd_table *table, uint32_t fd)
{
    return fd < table->capacity ? table->slots[fd].file : NULL;
}

/*
 * The host descriptor behind a descriptor, for mmap: borrowed, valid until the
 * guest closes it. -errno when there is none that can be mapped.
 */
int fd_table_host_fd(const struct fd_table *table, uint32_t fd);

/*
 * Gives file the lowest free descriptor from lowest on and below limit. Takes
 * over the caller's reference, also when it fails. The descriptor, -EMFILE,
 * -EINVAL when lowest itself is not below the limit, or -ENOMEM.
 */
int fd_table_add(struct fd_table *table, struct file *file, uint32_t lowest, uint32_t limit, bool close_on_exec);

/* The same for one certain descriptor, closing what is there: dup2(2). */
int fd_table_set(struct fd_table *table, struct file *file, uint32_t fd, uint32_t limit, bool close_on_exec);

/* 0 or -EBADF. */
int fd_table_close(struct fd_table *table, uint32_t fd);

/* All from first to last. */
void fd_table_close_range(struct fd_table *table, uint32_t first, uint32_t last);
void fd_table_mark_range(struct fd_table *table, uint32_t first, uint32_t last);

/* What execve closes. */
void fd_table_close_on_exec(struct fd_table *table);

#endif
