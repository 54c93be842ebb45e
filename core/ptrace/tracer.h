/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stub threads of a tracer. */
#ifndef CORE_PTRACE_TRACER_H
#define CORE_PTRACE_TRACER_H

#include "core/ptrace/ptrace_types.h"

/* A stub thread of the subprocess that the tracer traces, idle until now. context: a hint, may be NULL. */
int tracer_acquire(struct tracer *tracer, struct ptrace_subprocess *subprocess, const struct ptrace_context *context,
                   struct stub_thread **out);
/* A new subprocess gets its second thread, which can run guests, for whoever comes first. 0 or -errno. */
int tracer_make_runner(struct tracer *tracer, struct ptrace_subprocess *subprocess);
/* Back to its pool; a dead one is forgotten. */
void tracer_release(struct stub_thread *thread);
/* The FP states that only the calling thread's idle stub threads there hold come home. */
void tracer_save_fp(struct ptrace_subprocess *subprocess);
struct stub_thread *tracer_by_tid(struct tracer *tracer, pid_t tid);
/* All stub threads go back to their subprocesses, parked. Only in the tracer's own thread, for only that may detach. */
void tracer_hand_back(struct tracer *tracer);
/* All pools go; nothing is detached. */
void tracer_forget_pools(struct tracer *tracer);

#endif
