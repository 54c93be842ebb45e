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

#endif
