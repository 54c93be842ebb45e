/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The other ways into the kernel: 32-bit entries, x32 numbers and the vsyscall page. */
#include "guest.inc"

GUEST int80_loop
1:  int $0x80
    jmp 1b
END_GUEST int80_loop

GUEST int80_echo
1:  mov $20, %eax
    int $0x80
    mov %rax, %rbx
    jmp 1b
END_GUEST int80_echo

/* Natively: getpid by int 0x80; nothing traps where the kernel has 32-bit support. */
GUEST int80_once
    mov $20, %eax
    int $0x80
END_GUEST int80_once

/* ebp has to point to readable memory: the sixth argument. */
GUEST sysenter_once
    mov $20, %eax
    mov %rsp, %rbp
    sub $64, %rbp
    sysenter
END_GUEST sysenter_once

/* Goes to 32-bit code, which makes two calls; the second carries the result of the first in ebx. */
GUEST code32
    lea -64(%rsp), %rsp
    lea 1f(%rip), %rax
    movl $0x23, 4(%rsp)
    mov %eax, (%rsp)
    lretl
    .code32
1:  movl $20, %eax
    movl $0x11111111, %ebx
    movl $0x66666666, %ebp
GUEST_LABEL code32_first
    int $0x80
    movl %eax, %ebx
    movl $20, %eax
    int $0x80
    .code64
END_GUEST code32

/* Calls the vsyscall entry in rdx; the result becomes arg 0 of a plain call. */
GUEST vsyscall_loop
1:  push %rdi
    push %rsi
    push %rdx
    callq *%rdx
GUEST_LABEL vsyscall_behind
    pop %rdx
    pop %rsi
    pop %rdi
    mov %rdi, %r12
    mov %rax, %rdi
    CALL
    mov %r12, %rdi
    jmp 1b
END_GUEST vsyscall_loop
