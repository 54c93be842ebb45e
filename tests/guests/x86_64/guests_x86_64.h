/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The guests that only x86-64 has; what each does is written at its code. */
#ifndef TESTS_GUESTS_X86_64_GUESTS_X86_64_H
#define TESTS_GUESTS_X86_64_GUESTS_X86_64_H

#include "guests.h"

GUEST_DECLARE(write_own_code);
GUEST_DECLARE(jump_through);
GUEST_DECLARE(return_through);
GUEST_DECLARE(long_instruction);
GUEST_DECLARE(long_nop);
GUEST_DECLARE(copy_words);
extern const unsigned char guest_write_own_code_at[], guest_return_through_at[];

GUEST_DECLARE(breakpoints);
GUEST_DECLARE(read_cpuid);
GUEST_DECLARE(read_tsc);
GUEST_DECLARE(read_tscp);
extern const unsigned char guest_read_cpuid_at[];

GUEST_DECLARE(fp_x87);
GUEST_DECLARE(fp_sse);
GUEST_DECLARE(fp_avx);
GUEST_DECLARE(fp_avx512);
GUEST_DECLARE(fp_control);
GUEST_DECLARE(fp_load_once);
GUEST_DECLARE(fp_look);
GUEST_DECLARE(fp_fault);
GUEST_DECLARE(fp_spin);

GUEST_DECLARE(read_fs_gs);
GUEST_DECLARE(write_bases);
GUEST_DECLARE(write_bad_base);
GUEST_DECLARE(read_segments);
GUEST_DECLARE(load_segments);
GUEST_DECLARE(keep_flags);
GUEST_DECLARE(echo_rcx_r11);

GUEST_DECLARE(int80_loop);
GUEST_DECLARE(int80_echo);
GUEST_DECLARE(int80_once);
GUEST_DECLARE(sysenter_once);
GUEST_DECLARE(code32);
GUEST_DECLARE(vsyscall_loop);
extern const unsigned char guest_code32_first[], guest_vsyscall_behind[];

/* One call with its neighbours: where what comes before it starts, the call, and what is behind it. */
#define GUEST_PATTERN_DECLARE(name)                                                                                    \
    GUEST_DECLARE(patch_##name);                                                                                       \
    extern const unsigned char guest_patch_##name##_start[], guest_patch_##name##_call[], guest_patch_##name##_behind[]

GUEST_PATTERN_DECLARE(mov_eax);
GUEST_PATTERN_DECLARE(mov_rax);
GUEST_PATTERN_DECLARE(movabs);
GUEST_PATTERN_DECLARE(mov_return);
GUEST_PATTERN_DECLARE(libc_inline);
GUEST_PATTERN_DECLARE(libc_wrapper);
GUEST_PATTERN_DECLARE(go_wrapper);
GUEST_PATTERN_DECLARE(two_shorts);
GUEST_PATTERN_DECLARE(nops_behind);
GUEST_PATTERN_DECLARE(long_lea);
GUEST_PATTERN_DECLARE(to_scratch);
GUEST_PATTERN_DECLARE(refused_relative);
GUEST_PATTERN_DECLARE(refused_rcx);
GUEST_PATTERN_DECLARE(refused_rsp);
GUEST_PATTERN_DECLARE(refused_gs);
GUEST_PATTERN_DECLARE(refused_no_room);
GUEST_PATTERN_DECLARE(refused_unlisted);
GUEST_PATTERN_DECLARE(refused_decoy);
GUEST_PATTERN_DECLARE(refused_undecodable);

GUEST_DECLARE(patch_flags_before);
GUEST_DECLARE(patch_flags_behind);
GUEST_DECLARE(patch_fp);
GUEST_DECLARE(patch_store);
GUEST_DECLARE(patch_add);
GUEST_DECLARE(patch_load);
GUEST_DECLARE(patch_read_code);
GUEST_DECLARE(patch_jit);
GUEST_DECLARE(patch_between);
GUEST_DECLARE(patch_rewritten);
GUEST_DECLARE(patch_inner);
GUEST_DECLARE(patch_restorer);
extern const unsigned char guest_patch_inner_movabs[], guest_patch_restorer_call[];
extern const unsigned char guest_patch_store_behind[], guest_patch_add_behind[], guest_patch_load_behind[];
extern const unsigned char guest_patch_read_code_start[], guest_patch_between_behind[], guest_patch_rewritten_behind[];
extern const unsigned char guest_patch_between_read_gs[], guest_patch_between_read_at[];
extern const unsigned char guest_patch_between_get_base[];
extern const unsigned char guest_patch_between_set_base[], guest_patch_between_load_null[];
extern const unsigned char guest_patch_between_set_steps[], guest_patch_between_clear_steps[];

#endif
