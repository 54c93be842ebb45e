/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where stub threads run, and how their tracer waits for them. */
#ifndef CORE_PTRACE_PLACEMENT_H
#define CORE_PTRACE_PLACEMENT_H

#include "core/ptrace/ptrace_types.h"

/* Puts the thread on the caller's processor unless it computes. */
void placement_before_run(struct stub_thread *thread);
/* Lets it go anywhere. */
void placement_set_free(struct stub_thread *thread);
/* Waits for the thread's next stop: first by yielding, then by sleeping. 0 or -errno. */
int placement_wait(struct stub_thread *thread, int *status);
/* Its run has ended: was it short enough to place it again? */
void placement_note_run(struct stub_thread *thread, int64_t started_ns);
/* One attempt to give way to placed threads; false when it is time to sleep. */
bool placement_yield(struct tracer *tracer, int64_t started_ns);

#endif
