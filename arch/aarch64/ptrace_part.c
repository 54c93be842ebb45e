/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the ptrace backend needs of AArch64. */
#include <elf.h>
#include <stddef.h>
#include <sys/user.h>

#include "aarch64.h"

#define REGS_OFFSET offsetof(tg_regs, x)

#ifndef NT_ARM_TLS
#define NT_ARM_TLS 0x401
#endif
#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif

_Static_assert(offsetof(tg_regs, pstate) + sizeof(uint64_t) - REGS_OFFSET == sizeof(struct user_regs_struct),
               "tg_regs mirrors user_regs_struct");
_Static_assert(offsetof(tg_regs, sp) - REGS_OFFSET == offsetof(struct user_regs_struct, sp), "sp");
_Static_assert(offsetof(tg_regs, pc) - REGS_OFFSET == offsetof(struct user_regs_struct, pc), "pc");

extern const uint8_t tgi_stub_blob[];
extern const uint8_t tgi_stub_blob_end[];

/* At a stop of PTRACE_SYSEMU x7 is the kernel's, so the filter stops calls: call_note. */
static const struct arch_ptrace part = {
    .blob = tgi_stub_blob,
    .blob_end = tgi_stub_blob_end,
    .enter = a64_ptrace_enter,
    .capabilities = TG_CAP_ACCESS_EXACT | TG_CAP_SINGLE_STEP,
    .regset_count = 2,
    .regsets = {{NT_PRSTATUS, REGS_OFFSET, sizeof(struct user_regs_struct)},
                {NT_ARM_TLS, offsetof(tg_regs, tpidr_el0), sizeof(uint64_t)}},
    .fp_note = NT_PRFPREG,
    .call_note = NT_ARM_SYSTEM_CALL,
    .regs_resumed = a64_regs_resumed,
    .regs_fetched = a64_regs_fetched,
    .stub_request = a64_stub_request,
    .stub_result = a64_stub_result,
    .stub_batch_left = a64_stub_batch_left,
    .stub_place = a64_stub_place,
    .stub_add_cookie = a64_stub_add_cookie,
    .syscall_entered = a64_syscall_entered,
    .derive_exception = a64_derive_exception,
};

const struct arch_ptrace *const tgi_arch_ptrace = &part;
