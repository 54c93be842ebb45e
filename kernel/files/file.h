/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * An open file description: what dup and fork share. Each holds one host
 * descriptor of its own, whose number the guest never sees.
 */
#ifndef TRAPGATE_KERNEL_FILE_H
#define TRAPGATE_KERNEL_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "files/file_view.h"

enum file_kind {
    FILE_PLAIN,     /* never waits: regular files, memory devices */
    FILE_DIRECTORY, /* never waits */
    FILE_STREAM,    /* can wait: pipes, terminals, sockets, counters */
    FILE_EPOLL,
    FILE_DESCRIPTORS, /* /proc/self/fd: a directory of the embedder's for all but its entries, which the kernel makes */
};

struct file {
    uint32_t references;
    int host_fd;
    int status; /* what F_GETFL gives the guest; the host's O_NONBLOCK is not the guest's */
    enum file_kind kind;
    /*
     * The description is shared with whoever started the embedder, so its
     * flags are not changed: it may block, and is polled before each use.
     */
    bool inherited;
    struct file_view view; /* of large reads at the same place */
};

/* What a file is that was opened by a name: no terminal, of which path_policy.c lets none through. */
enum file_kind file_kind_of(const struct stat *st);

/* Owns host_fd from now on, also when it fails (NULL: no memory). */
struct file *file_create(int host_fd, int status, enum file_kind kind);

/* Makes a file of a descriptor that the embedder was started with; the descriptor itself stays the embedder's. */
struct file *file_inherit(int host_fd);

struct file *file_get(struct file *file);
void file_put(struct file *file);

/*
 * One read or write that never sleeps: -EAGAIN when it would. An offset of
 * FILE_POSITION means the file's own position. Bytes or -errno.
 */
#define FILE_POSITION (-1)
ssize_t file_read_some(const struct file *file, void *buffer, size_t length, int64_t offset);
ssize_t file_write_some(const struct file *file, const void *buffer, size_t length, int64_t offset);

/* What a read would give, as file_view_find() has it, or NULL: it is to be made. */
const unsigned char *file_look(struct file *file, size_t length, int64_t offset);

/* The most that one file_write_some() can take without sleeping. */
size_t file_write_limit(const struct file *file, size_t length);

/* 1 when the events of poll(2) are there, or an error or a hang-up; 0, or -errno when the host does not tell. */
int file_is_ready(const struct file *file, short events);

#endif
