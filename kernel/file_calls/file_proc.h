/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The names under /proc and /dev that mean the process that asks. The host's
 * would mean the embedder, so the kernel answers them itself.
 */
#ifndef TRAPGATE_KERNEL_FILE_PROC_H
#define TRAPGATE_KERNEL_FILE_PROC_H

#include <stdbool.h>

#include "file_calls/file_arguments.h"

/*
 * Puts in place of such a name the path, the open file or the text that it
 * means; leaves all others alone. A final symbolic link is only replaced when
 * it is followed. Returns 0 or -errno.
 */
int proc_path_replace(struct task *task, bool follow, struct path_argument *argument);

/*
 * What readlink(2) gives for such a name. Returns the length, -EINVAL when it
 * is no link, or 0 when the path is none of these names.
 */
ssize_t proc_readlink(struct task *task, const char *path, char *buffer, size_t capacity);

/*
 * The next entries of /proc/self/fd for getdents64(2); host_fd only keeps the
 * position. Bytes, 0 at the end, or -EINVAL when there is no room for one.
 */
int64_t proc_list_descriptors(const struct task *task, int host_fd, char *buffer, size_t capacity);

#endif
