/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Files that a guest may execute. */
#ifndef TRAPGATE_KERNEL_EXECUTABLE_H
#define TRAPGATE_KERNEL_EXECUTABLE_H

#include "files/path.h"

/*
 * Opens a regular file that the guest may execute, by a guest path: a host
 * descriptor that the caller closes, or -errno.
 */
int executable_open(const struct path_context *paths, const char *path);

/* The same of a file that is open already, in whatever mode. */
int executable_reopen(const struct path_context *paths, int fd);

#endif
