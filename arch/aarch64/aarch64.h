/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions behind AArch64's part of the contract. */
#ifndef ARCH_AARCH64_H
#define ARCH_AARCH64_H

#include "arch/arch_cpu.h"
#include "arch/arch_ptrace.h"

#define A64_PSTATE_SS        (1ull << 21)
#define A64_CALL_LENGTH      4
#define A64_CALL_CODE_LENGTH 8
#define A64_NUMBER           8 /* the register that has a call's number */

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
void a64_regs_resumed(tg_regs *regs);
void a64_regs_fetched(tg_regs *regs, bool stepping);

/* user_space.c */
int a64_user_space(struct arch_user_space *out);

/* fpstate.c */
void a64_fp_init(void *image, size_t size);
int a64_fp_check(const void *image, const void *initial, size_t size);

/* fault_access.c */
uint32_t a64_fault_access(const tg_regs *regs, uint64_t addr, const struct arch_guest *guest);

/* syscalls.c */
extern const uint8_t a64_call_code[A64_CALL_CODE_LENGTH];
void a64_set_call(tg_regs *regs, uint64_t nr);
void a64_syscall_entered(struct arch_syscall *syscall);
bool a64_syscall_from_signal(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                             struct arch_syscall *out);
int a64_restart_syscall(tg_regs *regs, const struct arch_syscall *syscall);

/* stub_enter.S */
__attribute__((noreturn)) void a64_ptrace_enter(uint64_t stub_start, uint64_t stub_end, uint64_t cookie,
                                                pid_t embedder);

/* stub_jobs.c */
void a64_stub_request(tg_regs *regs, const struct arch_stub_request *request);
int64_t a64_stub_result(const tg_regs *regs);
uint64_t a64_stub_batch_left(const tg_regs *regs);
enum arch_stub_place a64_stub_place(const tg_regs *regs, uint64_t stub_start);
void a64_stub_add_cookie(struct stub_call *call, uint64_t cookie);

/* exceptions.c */
struct arch_exception a64_derive_exception(const tg_regs *regs, const siginfo_t *info, uint32_t access,
                                           const struct arch_guest *guest);

#endif
