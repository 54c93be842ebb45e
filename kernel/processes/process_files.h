/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a process has of the file side: descriptors, the current folder and the umask. */
#ifndef TRAPGATE_KERNEL_PROCESS_FILES_H
#define TRAPGATE_KERNEL_PROCESS_FILES_H

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

#endif
