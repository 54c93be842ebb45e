/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a guest may touch of the things under its root folder that are not
 * plain files: proc, sysfs and their like, and devices.
 */
#ifndef TRAPGATE_KERNEL_PATH_POLICY_H
#define TRAPGATE_KERNEL_PATH_POLICY_H

#include <sys/stat.h>

#include "files/path.h"

/* Whether the file system that fd lives on allows the use. Returns 0 or -errno. */
int path_policy_filesystem(const struct root_folder *root, int fd, enum path_use use);

/* Whether a file of this type may be opened. Returns 0 or -errno. */
int path_policy_type(const struct stat *st);

#endif
