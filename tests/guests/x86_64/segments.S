/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Thread-local storage, segment registers and flags. */
#include "guest.inc"

/* arg 0 and 1: the words at fs:0 and gs:0. */
GUEST read_fs_gs
1:  mov %fs:0, %rdi
    mov %gs:0, %rsi
    CALL
    jmp 1b
END_GUEST read_fs_gs

/* Sets the bases from rdi and rsi by instruction, then reads through them. */
GUEST write_bases
    wrfsbase %rdi
    wrgsbase %rsi
    CALL
    mov %fs:0, %rdi
    mov %gs:0, %rsi
    CALL
END_GUEST write_bases

/* Sets a base that no address space has, then calls. */
GUEST write_bad_base
    wrfsbase %rdi
    CALL
END_GUEST write_bad_base

/* arg 0..3: ds, es, fs, gs; arg 4: cs; arg 5: ss */
GUEST read_segments
1:  mov %ds, %edi
    mov %es, %esi
    mov %fs, %edx
    mov %gs, %r10d
    mov %cs, %r8d
    mov %ss, %r9d
    CALL
    jmp 1b
END_GUEST read_segments

/* Loads the selector in rdi into ds and es, then calls with what they hold before and after. */
GUEST load_segments
    mov %edi, %ds
    mov %edi, %es
    CALL
    mov %ds, %edi
    mov %es, %esi
    CALL
END_GUEST load_segments

/* Sets the flags from rdi; after a call, arg 0 holds the flags that are left. */
GUEST keep_flags
1:  push %rdi
    popf
    mov $CALL_NUMBER, %eax
    syscall
    pushf
    pop %rdi
    cld
    CALL
    jmp 1b
END_GUEST keep_flags

/* arg 0 and 1: rcx and r11 as they are behind a call; r12 holds the call number. */
GUEST echo_rcx_r11
1:  mov %r12, %rax
    syscall
    mov %rcx, %rdi
    mov %r11, %rsi
    mov %r12, %rax
    syscall
    jmp 1b
END_GUEST echo_rcx_r11
