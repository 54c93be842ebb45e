/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guests that know what the library makes of a patched call, and use it. */
#include "guest.inc"

.set FIRST_TABLE_ENTRY, 0x60600 /* patch_table_place(0) */
.set TRAMPOLINE_ENTRY, 16 /* where one of a call without a mov before it keeps the address of the stub's code */
.set TRAMPOLINE_BEHIND, 32

/*
 * Goes to the stub's code for the first site by itself, with a base of gs of its
 * own and the trap flag set, so that the next trap comes in the middle of that.
 */
GUEST patch_step_in
    mov FIRST_TABLE_ENTRY, %rbx
    mov TRAMPOLINE_ENTRY(%rbx), %rdx
    lea TRAMPOLINE_BEHIND(%rbx), %rcx
    mov $CALL_NUMBER, %eax
    wrgsbase %rsp
    pushq $0x302
    popfq
    jmp *%rdx
END_GUEST patch_step_in
