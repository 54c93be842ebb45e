/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the FP state of a context is. */
#ifndef CORE_PTRACE_LAZY_FP_H
#define CORE_PTRACE_LAZY_FP_H

#include "core/ptrace/ptrace_types.h"

int fp_load(struct ptrace_context *context, struct stub_thread *thread);
int fp_after_run(struct ptrace_context *context, struct stub_thread *thread);
/* Saves what only this thread holds. */
int fp_evict(struct stub_thread *thread);
/* The thread is gone; the context whose state it held falls back to the state it saved last. */
void fp_forget_thread(struct stub_thread *thread);

void ptrace_context_reset(struct tg_context *context);
int ptrace_context_pull_fp(struct tg_context *context);
void ptrace_context_fp_changes(struct tg_context *context);
void ptrace_context_destroy(struct tg_context *context);

#endif
