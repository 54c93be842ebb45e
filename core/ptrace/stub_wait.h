/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What waiting for a stub thread says. */
#ifndef CORE_PTRACE_STUB_WAIT_H
#define CORE_PTRACE_STUB_WAIT_H

#include "core/ptrace/ptrace_types.h"

bool stub_status_is_death(int status);
/* Of a guest's system call. */
bool stub_status_is_call(int status);
/* It may not have been reaped yet. */
bool stub_thread_is_dead(const struct stub_thread *thread);
/* A wait has returned its end: from now on its id may be another's. */
void stub_thread_reaped(struct stub_thread *thread);
/* The same, and writes down the death that the wait reported. */
void stub_thread_died(struct stub_thread *thread, int status);
/* For its next stop, with options as for waitpid(2), which says what it returns. Not for first threads. */
pid_t stub_thread_wait_stop(struct stub_thread *thread, int *status, int options);
/* Waits for a subprocess's first thread. 0: it is dead, and cannot be reaped while siblings of its are there. */
pid_t stub_thread_wait_first(struct stub_thread *thread, int *status);
/* For either, as long as it takes. */
pid_t stub_thread_wait(struct stub_thread *thread, int *status);

#endif
