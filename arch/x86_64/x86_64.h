/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions behind x86-64's parts of the contract. */
#ifndef ARCH_X86_64_H
#define ARCH_X86_64_H

#include "arch/arch_patching.h"
#include "arch/arch_ptrace.h"
#include "arch/arch_systrap.h"

#define X86_EFLAGS_TF        0x100ull
#define X86_SYSCALL_LENGTH   2
#define X86_CALL_CODE_LENGTH 4
#define X86_USER_CS          0x33
#define X86_USER_CS_COMPAT   0x23
#define X86_USER_DS          0x2b
#define X86_USER_END         0x00007ffffffff000ull
#define X86_USER_END_MIN     0x00007e0000000000ull /* promised to embedders: never less */

/* Exceptions that have a number in more than one file, and the error code of a page fault. */
#define X86_PAGE_FAULT    14
#define X86_FAULT_PRESENT 0x1
#define X86_FAULT_WRITE   0x2
#define X86_FAULT_USER    0x4
#define X86_FAULT_FETCH   0x10
#define X86_FAULT_KEY     0x20

/* registers.c */
void x86_regs_init(tg_regs *regs);
int x86_regs_check(const tg_regs *regs);
void x86_regs_stopped(tg_regs *regs, const struct arch_syscall *syscall);
void x86_regs_resumed(tg_regs *regs);
bool x86_single_stepping(const tg_regs *regs);
uint64_t x86_ip(const tg_regs *regs);
void x86_set_start(tg_regs *regs, uint64_t ip, uint64_t sp);
int64_t x86_result(const tg_regs *regs);
void x86_set_return(tg_regs *regs, int64_t value);
extern const uint8_t x86_call_code[X86_CALL_CODE_LENGTH];
void x86_set_call(tg_regs *regs, uint64_t nr);
uint64_t x86_tls(const tg_regs *regs);
int x86_set_tls(tg_regs *regs, uint64_t value);

/* fpstate.c */
void x86_fp_init(void *image, size_t size);
int x86_fp_check(const void *image, const void *initial, size_t size);

/* stub_jobs.c */
void x86_stub_request(tg_regs *regs, const struct arch_stub_request *request);
int64_t x86_stub_result(const tg_regs *regs);
uint64_t x86_stub_batch_left(const tg_regs *regs);
enum arch_stub_place x86_stub_place(const tg_regs *regs, uint64_t stub_start);
void x86_stub_add_cookie(struct stub_call *call, uint64_t cookie);

/* traps.c */
int x86_stub_trap_cpuid(void);
int x86_stub_trap_tsc(void);
bool x86_can_trap_cpuid(void);
bool x86_can_trap_tsc(void);

/* stub_enter.S */
__attribute__((noreturn)) void x86_ptrace_enter(uint64_t stub_start, uint64_t stub_end, uint64_t cookie,
                                                pid_t embedder);
__attribute__((noreturn)) void x86_systrap_enter(uint64_t region, int file, pid_t embedder);

/* syscalls.c */
void x86_syscall_entered(struct arch_syscall *syscall);
bool x86_syscall_from_signal(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                             struct arch_syscall *out);
int x86_restart_syscall(tg_regs *regs, const struct arch_syscall *syscall);

/* systrap_ops.c */
void x86_systrap_pause(void);
void x86_systrap_between_looks(void);
void x86_systrap_fetch_to_write(void *place, size_t length);
uint64_t x86_systrap_ticks(void);
const char *x86_systrap_missing(void);
size_t x86_systrap_fp_learn(void *image, size_t capacity, uint64_t *features);
void x86_systrap_fp_repair(void *image, const void *initial, size_t size);
void x86_systrap_read_regs(const struct systrap_slot *slot, tg_regs *regs);
void x86_systrap_write_regs(struct systrap_slot *slot, const tg_regs *regs);
void x86_systrap_set_return(struct systrap_slot *slot, int64_t value);
bool x86_systrap_read_syscall(const struct systrap_slot *slot, const struct arch_signal *details,
                              struct arch_syscall *out);
void x86_systrap_read_patched(const struct systrap_slot *slot, uint64_t ip, struct arch_syscall *out);
void x86_systrap_keep_resume(struct systrap_slot *slot, bool keep);
bool x86_systrap_hides_base(const struct systrap_slot *slot);
bool x86_systrap_fp_from_frame(void *image, size_t size, const uint8_t *frame_fp, size_t room);
uint32_t x86_systrap_error_access(const struct arch_signal *details);

/* patching/patching_ops.c */
enum patch_refusal x86_patch_plan(const struct arch_patch_request *request, struct arch_patch *patch,
                                  uint8_t *trampoline, size_t *trampoline_length);
uint32_t x86_patch_proven_starts(const uint8_t *code, uint64_t code_addr, size_t length, uint64_t ip);
uint64_t x86_patch_return_ip(const struct arch_patch *patch);
uint64_t x86_patch_original_ip(const struct arch_patch *patch, uint64_t offset);
bool x86_forbids_patching(const tg_regs *regs);
bool x86_met_hidden(const struct systrap_slot *slot, const siginfo_t *info, const tg_regs *regs,
                    const struct arch_guest *guest);
void x86_set_ip(tg_regs *regs, uint64_t ip);
enum arch_patch_meaning x86_patch_explain(const struct arch_patch *patch, tg_regs *regs, struct arch_syscall *out);

/* fault_access.c */
uint32_t x86_fault_access(const tg_regs *regs, uint64_t addr, const struct arch_guest *guest);

/* exceptions.c */
struct arch_exception x86_derive_exception(const tg_regs *regs, const siginfo_t *info, uint32_t access,
                                           const struct arch_guest *guest);

#endif
