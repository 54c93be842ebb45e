/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* bare_registers.h - what the floors do with a stopped tracee's registers; arch/<cpu>/bare_registers.c. */
#ifndef TRAPGATE_BENCH_BARE_REGISTERS_H
#define TRAPGATE_BENCH_BARE_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* Reads the registers, sets the result of a system call, writes them back. Says whether all of it worked. */
bool bare_answer_syscall(pid_t pid, int64_t result);

/* Reads the FP state, all of it, as tg_context_get_fpstate() would. */
bool bare_read_fpstate(pid_t pid);

bool bare_read_registers(pid_t pid, struct user_regs_struct *registers);

/* Makes a stopped tracee go through bench_injection_site and brings back the result of the call. */
bool bare_inject(pid_t pid, const struct user_regs_struct *start, int64_t number, const uint64_t arguments[6],
                 int64_t *result);

#endif
