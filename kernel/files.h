/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the rest of the kernel asks of the file side: descriptors, the current
 * folder and the umask of a process, and host descriptors for the loader and
 * for mmap.
 */
#ifndef TRAPGATE_KERNEL_FILES_H
#define TRAPGATE_KERNEL_FILES_H

#include <stdbool.h>

struct process;

/*
 * Gives the first process its descriptor table, with those of the host's 0, 1
 * and 2 that the sandbox's options name, and its current folder (a guest
 * path). 0, or -errno with the sandbox's message written.
 */
int files_init(struct process *process, const char *cwd);

/* For clone: shares or copies the descriptor table (CLONE_FILES) and the folder and umask (CLONE_FS). 0 or -errno. */
int files_clone(const struct process *parent, struct process *child, bool share_descriptors, bool share_paths);

/* For execve: an own descriptor table, without what is close-on-exec. 0 or -errno. */
int files_exec(struct process *process);

/* Drops both; harmless when they are not there. */
void files_release(struct process *process);

/*
 * Opens a regular file that the guest may execute, by a guest path: a host
 * descriptor that the caller closes, or -errno.
 */
int file_open_for_exec(struct process *process, const char *path);

/*
 * The host descriptor behind a guest's, for mmap: borrowed, valid until the
 * guest closes it. -errno when there is none that can be mapped.
 */
int file_host_fd(struct process *process, int guest_fd);

#endif
