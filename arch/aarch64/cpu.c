/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The processor, whatever the backend is. What only a backend asks for comes
 * with the first of them: FP state, decoding of faults, and the end of user
 * space, which is not the same on all kernels and has to be found out.
 */
#include <linux/audit.h>
#include <stddef.h>
#include <sys/user.h>

#include "aarch64.h"
#include "arch/native_syscalls.h"

#define RSEQ_SIGNATURE 0xd428bc00u

_Static_assert(offsetof(tg_regs, pstate) + sizeof(uint64_t) - offsetof(tg_regs, x) == sizeof(struct user_regs_struct),
               "tg_regs mirrors user_regs_struct");
_Static_assert(offsetof(tg_regs, sp) - offsetof(tg_regs, x) == offsetof(struct user_regs_struct, sp), "sp");
_Static_assert(offsetof(tg_regs, pc) - offsetof(tg_regs, x) == offsetof(struct user_regs_struct, pc), "pc");

const struct arch_cpu tgi_arch = {
    .audit_arch = AUDIT_ARCH_AARCH64,
    .syscalls = ARCH_NATIVE_SYSCALLS,
    .rseq_signature = RSEQ_SIGNATURE,
    .regs_init = a64_regs_init,
    .regs_check = a64_regs_check,
    .regs_stopped = a64_regs_stopped,
    .single_stepping = a64_single_stepping,
    .ip = a64_ip,
    .set_start = a64_set_start,
    .result = a64_result,
    .set_return = a64_set_return,
    .call_code = a64_call_code,
    .call_code_size = sizeof(a64_call_code),
    .set_call = a64_set_call,
    .tls = a64_tls,
    .set_tls = a64_set_tls,
    .restart_syscall = a64_restart_syscall,
    .syscall_from_signal = a64_syscall_from_signal,
};
