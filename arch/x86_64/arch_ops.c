/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* x86-64's operations struct. */
#include <elf.h>
#include <linux/audit.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "patch_site.h"
#include "systrap_offsets.h"
#include "x86_64.h"

#define REGS_OFFSET offsetof(tg_regs, r15)

_Static_assert(sizeof(tg_regs) - REGS_OFFSET == sizeof(struct user_regs_struct), "tg_regs mirrors user_regs_struct");
_Static_assert(offsetof(tg_regs, rip) - REGS_OFFSET == offsetof(struct user_regs_struct, rip), "rip");
_Static_assert(offsetof(tg_regs, fs_base) - REGS_OFFSET == offsetof(struct user_regs_struct, fs_base), "fs_base");
_Static_assert(offsetof(tg_regs, gs) - REGS_OFFSET == offsetof(struct user_regs_struct, gs), "gs");

const struct arch_ops tgi_arch = {
    .audit_arch = AUDIT_ARCH_X86_64,
    .user_end = X86_USER_END,
    .user_end_min = X86_USER_END_MIN,
    .syscalls =
        {
            .mmap = SYS_mmap,
            .munmap = SYS_munmap,
            .mprotect = SYS_mprotect,
            .mremap = SYS_mremap,
            .madvise = SYS_madvise,
            .clone = SYS_clone,
            .membarrier = SYS_membarrier,
            .exit_group = SYS_exit_group,
            .pread64 = SYS_pread64,
            .pwrite64 = SYS_pwrite64,
        },
    .regset_count = 1,
    .regsets = {{ARCH_REGSET_GENERAL, REGS_OFFSET, sizeof(struct user_regs_struct)}},
    .fp_note = NT_X86_XSTATE,
    .regs_init = x86_regs_init,
    .regs_check = x86_regs_check,
    .regs_stopped = x86_regs_stopped,
    .regs_resumed = x86_regs_resumed,
    .single_stepping = x86_single_stepping,
    .ip = x86_ip,
    .set_start = x86_set_start,
    .set_return = x86_set_return,
    .call_code = x86_call_code,
    .call_code_size = sizeof(x86_call_code),
    .set_call = x86_set_call,
    .tls = x86_tls,
    .set_tls = x86_set_tls,
    .restart_syscall = x86_restart_syscall,
    .fp_init = x86_fp_init,
    .fp_check = x86_fp_check,
    .stub_request = x86_stub_request,
    .stub_result = x86_stub_result,
    .stub_batch_left = x86_stub_batch_left,
    .stub_place = x86_stub_place,
    .stub_add_cookie = x86_stub_add_cookie,
    .syscall_entered = x86_syscall_entered,
    .syscall_from_signal = x86_syscall_from_signal,
    .fault_access = x86_fault_access,
    .derive_exception = x86_derive_exception,
    .systrap =
        {
            .handler_offset = SYSTRAP_OFFSET_HANDLER,
            .restorer_offset = SYSTRAP_OFFSET_RESTORER,
            .pause = x86_systrap_pause,
            .ticks = x86_systrap_ticks,
            .missing = x86_systrap_missing,
            .fp_learn = x86_systrap_fp_learn,
            .fp_repair = x86_systrap_fp_repair,
            .read_regs = x86_systrap_read_regs,
            .write_regs = x86_systrap_write_regs,
            .set_return = x86_systrap_set_return,
            .read_syscall = x86_systrap_read_syscall,
            .read_patched = x86_systrap_read_patched,
            .keep_resume = x86_systrap_keep_resume,
            .forbids_patching = x86_forbids_patching,
            .uses_hidden_base = x86_uses_hidden_base,
            .table_start = PATCH_TABLE_START,
            .table_size = PATCH_TABLE_END - PATCH_TABLE_START,
            .code_before = PATCH_WINDOW_BEFORE + X86_SYSCALL_LENGTH,
            .code_after = PATCH_WINDOW_AFTER - X86_SYSCALL_LENGTH,
            .patch_plan = x86_patch_plan,
            .patch_return_ip = x86_patch_return_ip,
            .patch_original_ip = x86_patch_original_ip,
            .set_ip = x86_set_ip,
            .patch_explain = x86_patch_explain,
            .trap_byte = 0xcc,
            .error_access = x86_systrap_error_access,
        },
    .stub_trap_cpuid = x86_stub_trap_cpuid,
    .stub_trap_tsc = x86_stub_trap_tsc,
    .can_trap_cpuid = x86_can_trap_cpuid,
    .can_trap_tsc = x86_can_trap_tsc,
};
