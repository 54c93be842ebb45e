/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* tracee.h - a bare traced child: what the ptrace backend is made of, without the library. */
#ifndef TRAPGATE_BENCH_TRACEE_H
#define TRAPGATE_BENCH_TRACEE_H

#include <stdint.h>
#include <sys/types.h>

/* Forks a child that stops before entry(argument); cpu may be CPU_ANY. The calling thread is its tracer. */
pid_t tracee_start(void (*entry)(uint64_t), uint64_t argument, int cpu);

/* Options every tracee of the bench has; for tracees that were started in another way. */
void tracee_set_options(pid_t pid);

/* PTRACE_SYSEMU and the wait for the next stop; the wait status. */
int tracee_run(pid_t pid);

/* Only PTRACE_SYSEMU, and only the wait: for loops that have several tracees. */
void tracee_resume(pid_t pid);
int tracee_wait(pid_t pid);

/* Ends the sample when the status is not the stop of an emulated system call. */
void tracee_expect_syscall(int status);

void tracee_kill(pid_t pid);

#endif
