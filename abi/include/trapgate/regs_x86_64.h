/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * trapgate/regs_x86_64.h - the general registers of an x86-64 guest thread.
 *
 * Included through trapgate/trapgate.h. The order of the registers is the
 * kernel's struct user_regs_struct, which is what PTRACE_GETREGS fills.
 */
#ifndef TRAPGATE_REGS_X86_64_H
#define TRAPGATE_REGS_X86_64_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_regs {
    uint32_t size; /* set by the library: sizeof(tg_regs) of the library; tg_context_exchange(): by the caller */
    uint32_t arch; /* set by the library: AUDIT_ARCH_X86_64 */
    uint64_t r15;
    uint64_t r14;
    uint64_t r13;
    uint64_t r12;
    uint64_t rbp;
    uint64_t rbx;
    uint64_t r11;
    uint64_t r10;
    uint64_t r9;
    uint64_t r8;
    uint64_t rax; /* at a SYSCALL event: the system call number, as the guest had it */
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rsi;
    uint64_t rdi;
    uint64_t orig_rax; /* at a SYSCALL event: the number; otherwise all ones; ignored when set */
    uint64_t rip;      /* at a SYSCALL event: behind the instruction */
    uint64_t cs;
    uint64_t eflags; /* set bit 8 (TF) to run a single instruction; ptrace(2) cannot set bit 21 (ID) */
    uint64_t rsp;
    uint64_t ss;
    uint64_t fs_base; /* thread-local storage; tg_context_set_tls() sets this one */
    uint64_t gs_base;
    uint64_t ds;
    uint64_t es;
    uint64_t fs;
    uint64_t gs;
} tg_regs;

#ifdef __cplusplus
}
#endif

#endif
