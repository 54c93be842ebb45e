/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The processor, whatever the backend is. */
#include <linux/audit.h>

#include "arch/native_syscalls.h"
#include "x86_64.h"

#define RSEQ_SIGNATURE 0x53053053u

/* With five-level page tables there is more, and stubs stay below. */
static int user_space(struct arch_user_space *out)
{
    *out = (struct arch_user_space){.end = X86_USER_END, .end_min = X86_USER_END_MIN};
    return 0;
}

const struct arch_cpu tgi_arch = {
    .audit_arch = AUDIT_ARCH_X86_64,
    .capabilities = TG_CAP_SYSCALL_ARCH | TG_CAP_VSYSCALL,
    .syscalls = ARCH_NATIVE_SYSCALLS,
    .rseq_signature = RSEQ_SIGNATURE,
    .user_space = user_space,
    .regs_init = x86_regs_init,
    .regs_check = x86_regs_check,
    .regs_stopped = x86_regs_stopped,
    .single_stepping = x86_single_stepping,
    .ip = x86_ip,
    .set_start = x86_set_start,
    .result = x86_result,
    .set_return = x86_set_return,
    .call_code = x86_call_code,
    .call_code_size = sizeof(x86_call_code),
    .set_call = x86_set_call,
    .tls = x86_tls,
    .set_tls = x86_set_tls,
    .restart_syscall = x86_restart_syscall,
    .fp_init = x86_fp_init,
    .fp_check = x86_fp_check,
    .syscall_from_signal = x86_syscall_from_signal,
    .fault_access = x86_fault_access,
    .stub_trap_cpuid = x86_stub_trap_cpuid,
    .stub_trap_tsc = x86_stub_trap_tsc,
    .can_trap_cpuid = x86_can_trap_cpuid,
    .can_trap_tsc = x86_can_trap_tsc,
};
