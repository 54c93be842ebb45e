/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Stub processes: made, changed and destroyed. */
#ifndef CORE_PTRACE_SUBPROCESS_H
#define CORE_PTRACE_SUBPROCESS_H

#include "core/ptrace/ptrace_types.h"

/* A record for a stub process whose first thread is pid. It holds the handle's reference. */
int ptrace_subprocess_adopt(struct ptrace_subprocess *subprocess, pid_t pid);
int ptrace_subprocess_create(struct tg_subprocess *subprocess, struct tg_subprocess *from);
void ptrace_subprocess_destroy(struct tg_subprocess *subprocess);
void ptrace_subprocess_forget(struct tg_subprocess *subprocess, bool last);
/* The template, and whatever else is in the stubs' process group, of which it is the leader. */
void ptrace_subprocess_destroy_group(struct ptrace_subprocess *leader, pid_t group);
int ptrace_subprocess_reset(struct tg_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n);
int ptrace_subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done);

#endif
