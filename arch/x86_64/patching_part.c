/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What patched calls need of x86-64. */
#include "patching/patch_after.h"
#include "patching/patch_plan.h"
#include "patching/patch_proof.h"
#include "x86_64.h"

#define BREAKPOINT 0xcc

_Static_assert(PATCH_TABLE_BLOCK *PATCH_TABLE_BLOCKS * sizeof(uint64_t) == PATCH_TABLE_END - PATCH_TABLE_START,
               "each place is one of the table");

static const struct arch_patching part = {
    .table_start = PATCH_TABLE_START,
    .table_size = PATCH_TABLE_END - PATCH_TABLE_START,
    .code_before = PATCH_WINDOW_BEFORE + X86_SYSCALL_LENGTH,
    .code_after = PATCH_WINDOW_AFTER - X86_SYSCALL_LENGTH,
    .proof_before = PATCH_PROOF_BEFORE + PATCH_PROOF_MOV + X86_SYSCALL_LENGTH,
    .trap_byte = BREAKPOINT,
    .table_place = patch_table_place,
    .plan = x86_patch_plan,
    .proven_starts = x86_patch_proven_starts,
    .return_ip = x86_patch_return_ip,
    .original_ip = x86_patch_original_ip,
    .set_ip = x86_set_ip,
    .explain = x86_patch_explain,
    .read_syscall = x86_systrap_read_patched,
    .keep_resume = x86_systrap_keep_resume,
    .forbids = x86_forbids_patching,
    .met_hidden = x86_met_hidden,
};

const struct arch_patching *const tgi_arch_patching = &part;
