/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * trapgate/regs_aarch64.h - the general registers of an AArch64 guest thread.
 *
 * Included through trapgate/trapgate.h. The order of the registers is the
 * kernel's struct user_pt_regs, which is what NT_PRSTATUS holds; the
 * thread-local storage register follows.
 */
#ifndef TRAPGATE_REGS_AARCH64_H
#define TRAPGATE_REGS_AARCH64_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_regs {
    uint32_t size;  /* set by the library: sizeof(tg_regs) of the library; tg_context_exchange(): by the caller */
    uint32_t arch;  /* set by the library: AUDIT_ARCH_AARCH64 */
    uint64_t x[31]; /* at a SYSCALL event: x[8] is the system call number */
    uint64_t sp;
    uint64_t pc;     /* at a SYSCALL event: behind the instruction */
    uint64_t pstate; /* set bit 21 (SS) to run a single instruction */
    uint64_t tpidr_el0;
} tg_regs;

#ifdef __cplusplus
}
#endif

#endif
