/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The life of a sandbox, for the program that runs it. */
#ifndef TRAPGATE_KERNEL_SANDBOX_H
#define TRAPGATE_KERNEL_SANDBOX_H

#include "tasks/sandbox_state.h"

/*
 * Opens the platform, the root folder and the current folder. The options must
 * outlive the sandbox. From then on the embedder ignores SIGPIPE and SIGXFSZ:
 * guests write to its descriptors. 0, or -errno with options->message written.
 */
int sandbox_create(const struct sandbox_options *options, struct sandbox **out);

/* Finds and loads the program. 0, or -errno (-ENOENT, -EACCES, -ENOEXEC, ...) with options->message written. */
int sandbox_load(struct sandbox *sandbox);

/*
 * Runs until the first process has ended; *wait_status is as wait4(2) gives it.
 * 0 or -errno. options->message may hold a sentence in both cases.
 */
int sandbox_run(struct sandbox *sandbox, int *wait_status);

/*
 * Writes the sentence that options->message keeps for the embedder, unless it
 * has one already: why the sandbox stopped, or why a process ended that did
 * nothing to deserve it.
 */
__attribute__((format(printf, 2, 3))) void sandbox_tell(const struct sandbox *sandbox, const char *format, ...);

/* Ends what still runs and frees everything. NULL is allowed. */
void sandbox_destroy(struct sandbox *sandbox);

#endif
