/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ptrace(2) calls. */
#ifndef CORE_PTRACE_STUB_THREAD_H
#define CORE_PTRACE_STUB_THREAD_H

#include "core/ptrace/ptrace_types.h"

/* All return 0 or -errno; -ESRCH when the stub is dead, which is then on record. */
int stub_thread_attach(struct tracer *tracer, struct stub_thread *thread);
int stub_thread_park(struct stub_thread *thread);
/*
 * A thread that is traced leaves its signals to its tracer. One that is not would meet their default actions, which end
 * the process: it blocks them all, and so does one that makes another, which nobody traces at first. Attaching leaves
 * them blocked, parking blocks them.
 */
int stub_thread_block_signals(struct stub_thread *thread);
/* Those that stop a guest. Where the kernel refuses, the stub is dead afterwards. */
int stub_thread_unblock_signals(struct stub_thread *thread);
int stub_thread_get_regs(struct stub_thread *thread, tg_regs *regs);
int stub_thread_set_regs(struct stub_thread *thread, const tg_regs *regs);
int stub_thread_get_fp(struct stub_thread *thread, void *image, size_t size);
int stub_thread_set_fp(struct stub_thread *thread, const void *image, size_t size);
int stub_thread_resume_guest(struct stub_thread *thread, bool single_step);
int stub_thread_siginfo(struct stub_thread *thread, siginfo_t *info);
/* Reads the whole FP state to learn how long it is. */
int stub_thread_fp_size(struct stub_thread *thread, void *image, size_t capacity, size_t *size);
/* Runs stub code as if it were a guest's up to its system call. */
int stub_thread_try_call(struct stub_thread *thread);
/* How the guest entered the kernel; the stop must be a system call stop. */
int stub_thread_syscall(struct stub_thread *thread, struct arch_syscall *out);
/* Lets it run stub code without waiting. */
int stub_thread_continue(struct stub_thread *thread);
/*
 * Stops a thread that runs; what it was doing can go on with stub_thread_continue(). The status is that of a stop which
 * nobody has waited for, if there was one.
 */
int stub_thread_stop(struct stub_thread *thread, int *status);
int stub_thread_poke(struct stub_thread *thread, uint64_t addr, const uint64_t *words, size_t n);
/* Runs a job to its end; result in *result. */
int stub_thread_inject(struct stub_thread *thread, const struct arch_stub_request *request, tg_regs *after);
struct stub_thread *stub_thread_new(struct ptrace_subprocess *subprocess, pid_t tid);

#endif
