/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* bare_trap.h - guest code that traps into a signal handler of its own process; arch/<cpu>/bare_trap.c. */
#ifndef TRAPGATE_BENCH_BARE_TRAP_H
#define TRAPGATE_BENCH_BARE_TRAP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* As many words as a guest's registers are; the handlers of a trap have fewer to copy. */
#define BARE_REGISTER_COUNT 27

typedef void bare_handler(int signo, siginfo_t *info, void *ucontext);

/* Copies the registers of an interrupted guest out, and those that may change back in. */
void bare_registers_out(const void *ucontext, uint64_t registers[BARE_REGISTER_COUNT]);
void bare_registers_in(void *ucontext, const uint64_t registers[BARE_REGISTER_COUNT]);

/* Which of these registers holds the result of a system call. */
extern const unsigned bare_result_register;

/* A handler on a stack of its own; it returns by bench_restorer, the one place from where calls still reach the kernel.
 */
bool bare_handle(int signo, bare_handler *handler);

/* From here on every system call of this process but the handlers' return is a SIGSYS: by a seccomp filter. */
bool bare_trap_syscalls(void);

/* The same of this thread, by syscall user dispatch; and whether the kernel has that. */
bool bare_dispatch_syscalls(void);
bool bare_dispatch_usable(void);

#endif
