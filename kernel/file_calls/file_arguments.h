/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * From the raw arguments of a system call to files and paths. Everything that
 * a handler of the file side knows about a guest's descriptor or path comes
 * through here.
 */
#ifndef TRAPGATE_KERNEL_FILE_ARGUMENTS_H
#define TRAPGATE_KERNEL_FILE_ARGUMENTS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#include "files/fd_table.h"
#include "files/path.h"
#include "memory/guest_copy.h"
#include "tasks/task.h"

/* The file behind a descriptor argument, of which Linux takes the low 32 bits; NULL: -EBADF. */
static inline struct file *task_file(const struct task *task, uint64_t fd)
{
    return fd_table_file(task->process->fd_table, (uint32_t)fd);
}

/* One more than the highest descriptor that the process may have. */
uint32_t task_fd_limit(const struct task *task);

/* Gives a new file, or NULL for one that there was no memory for, the lowest free descriptor. */
int64_t task_install_file(struct task *task, struct file *file, bool close_on_exec);

/*
 * Whether the guest may change the attributes of an open file: not those of
 * one that the embedder was started with. 0 or -errno.
 */
int file_check_change(const struct task *task, const struct file *file);

/* A path as the guest gave it, or what the kernel put in its place. */
struct path_argument {
    int base_fd;       /* of the host: where relative paths start */
    struct file *file; /* the path stands for this open file; text means nothing then */
    int generated_fd;  /* the path is one of proc's that the kernel answers itself: own descriptor, or -1 */
    bool lists_fds;    /* generated_fd stands for /proc/self/fd */
    char text[PATH_MAX];
};

/*
 * Reads the path at addr. at_flags: AT_EMPTY_PATH lets an empty one stand for
 * dirfd itself; AT_SYMLINK_NOFOLLOW as the caller will look it up. Returns 0 or
 * -errno; after a 0, path_argument_close() or path_argument_open() must follow.
 */
int path_argument_read(struct task *task, uint64_t dirfd, uint64_t addr, uint64_t at_flags, struct path_argument *out);
void path_argument_close(struct path_argument *argument);

/* Whether the path is one to look up, and stands for no descriptor that is there already. */
static inline bool path_argument_is_path(const struct path_argument *argument)
{
    return argument->file == NULL && argument->generated_fd < 0;
}

/* The flags of a lookup for those of a call. */
static inline int path_argument_flags(uint64_t at_flags)
{
    return (at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? O_NOFOLLOW : 0;
}

/* A path that starts at an open /proc/self/fd gets its full name. 0 or -ENAMETOOLONG. */
int path_argument_complete(const struct task *task, uint64_t dirfd, struct path_argument *argument);

/* The second half of path_argument_read(), for a text that was read already. */
int path_argument_place(struct task *task, uint64_t dirfd, uint64_t at_flags, struct path_argument *argument);

/* What a path leads to: a descriptor of the host, often O_PATH. */
struct path_target {
    int fd;
    bool owned;
};

/* Looks up a path; what it generated belongs to the target. Returns 0 or -errno; path_target_close() must follow a 0.
 */
int path_argument_open(struct task *task, const struct path_argument *argument, uint64_t at_flags, enum path_use use,
                       struct path_target *out);

/* Reads and looks up a path. Returns 0 or -errno; on success path_target_close() must follow. */
int path_target_open(struct task *task, uint64_t dirfd, uint64_t addr, uint64_t at_flags, enum path_use use,
                     struct path_target *out);
void path_target_close(struct path_target *target);

/* Reads a path and looks up the directory of its last component; path_entry_close() must follow a 0. */
int path_entry_open(struct task *task, uint64_t dirfd, uint64_t addr, struct path_entry *out);

/* -errno when a call of the host failed, else its result. */
int64_t host_result(int64_t result);

#endif
