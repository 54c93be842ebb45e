/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What descriptors are called: by the guest, and in the folder that has them by number. */
#ifndef TRAPGATE_KERNEL_PATH_NAME_H
#define TRAPGATE_KERNEL_PATH_NAME_H

#include <stddef.h>
#include <sys/types.h>

#include "files/path.h"

/* Room for the name of a descriptor in root_folder.self_fds. */
#define PATH_FD_NAME_SIZE 12
void path_fd_name(int fd, char name[PATH_FD_NAME_SIZE]);

/* The guest's name of an open directory or file. Returns its length, -ENOENT when it has none, or -errno. */
ssize_t path_name_of(const struct root_folder *root, int fd, char *buffer, size_t capacity);

#endif
