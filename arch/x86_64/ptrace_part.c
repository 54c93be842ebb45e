/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the ptrace backend needs of x86-64. */
#include <elf.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "x86_64.h"

#define REGS_OFFSET offsetof(tg_regs, r15)

_Static_assert(sizeof(tg_regs) - REGS_OFFSET == sizeof(struct user_regs_struct), "tg_regs mirrors user_regs_struct");
_Static_assert(offsetof(tg_regs, rip) - REGS_OFFSET == offsetof(struct user_regs_struct, rip), "rip");
_Static_assert(offsetof(tg_regs, fs_base) - REGS_OFFSET == offsetof(struct user_regs_struct, fs_base), "fs_base");
_Static_assert(offsetof(tg_regs, gs) - REGS_OFFSET == offsetof(struct user_regs_struct, gs), "gs");

extern const uint8_t tgi_stub_blob[];
extern const uint8_t tgi_stub_blob_end[];

/* Of the vsyscall page, which only pretends to call: SIGSYS makes an event of them. */
static const int vsyscalls[] = {SYS_gettimeofday, SYS_time, SYS_getcpu};

static const struct arch_ptrace part = {
    .blob = tgi_stub_blob,
    .blob_end = tgi_stub_blob_end,
    .enter = x86_ptrace_enter,
    .capabilities = TG_CAP_ACCESS_EXACT | TG_CAP_SINGLE_STEP,
    .regset_count = 1,
    .regsets = {{ARCH_REGSET_GENERAL, REGS_OFFSET, sizeof(struct user_regs_struct)}},
    .fp_note = NT_X86_XSTATE,
    .unseen_calls = vsyscalls,
    .unseen_call_count = sizeof(vsyscalls) / sizeof(vsyscalls[0]),
    .regs_resumed = x86_regs_resumed,
    .stub_request = x86_stub_request,
    .stub_result = x86_stub_result,
    .stub_batch_left = x86_stub_batch_left,
    .stub_place = x86_stub_place,
    .stub_add_cookie = x86_stub_add_cookie,
    .syscall_entered = x86_syscall_entered,
    .derive_exception = x86_derive_exception,
};

const struct arch_ptrace *const tgi_arch_ptrace = &part;
