/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The processor, whatever the backend is. */
#include <linux/audit.h>

#include "aarch64.h"
#include "arch/native_syscalls.h"

#define RSEQ_SIGNATURE 0xd428bc00u

const struct arch_cpu tgi_arch = {
    .audit_arch = AUDIT_ARCH_AARCH64,
    .syscalls = ARCH_NATIVE_SYSCALLS,
    .rseq_signature = RSEQ_SIGNATURE,
    .user_space = a64_user_space,
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
    .fp_init = a64_fp_init,
    .fp_check = a64_fp_check,
    .syscall_from_signal = a64_syscall_from_signal,
    .fault_access = a64_fault_access,
};
