/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions behind AArch64's part of the contract. */
#ifndef ARCH_AARCH64_H
#define ARCH_AARCH64_H

#include "arch/arch_cpu.h"

#define A64_PSTATE_SS        (1ull << 21)
#define A64_CALL_LENGTH      4
#define A64_CALL_CODE_LENGTH 8

/* registers.c */
void a64_regs_init(tg_regs *regs);
int a64_regs_check(const tg_regs *regs);
void a64_regs_stopped(tg_regs *regs, const struct arch_syscall *syscall);
bool a64_single_stepping(const tg_regs *regs);
uint64_t a64_ip(const tg_regs *regs);
void a64_set_start(tg_regs *regs, uint64_t ip, uint64_t sp);
int64_t a64_result(const tg_regs *regs);
void a64_set_return(tg_regs *regs, int64_t value);
uint64_t a64_tls(const tg_regs *regs);
int a64_set_tls(tg_regs *regs, uint64_t value);

/* syscalls.c */
extern const uint8_t a64_call_code[A64_CALL_CODE_LENGTH];
void a64_set_call(tg_regs *regs, uint64_t nr);
bool a64_syscall_from_signal(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                             struct arch_syscall *out);
int a64_restart_syscall(tg_regs *regs, const struct arch_syscall *syscall);

#endif
