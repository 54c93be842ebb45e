/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.inc"

/* Of the block at arg 1: how often the clock was read, what it showed last, how often it had gone back, and room. */
GUEST watch_clock
    mov %r9, %rbx
    mov %rdi, %r12
    mov %rsi, %r13
1:  mov %r12, %rdi
    lea 32(%r13), %rsi
    callq *%rbx
    imulq $1000000000, 32(%r13), %rax
    add 40(%r13), %rax
    cmp 8(%r13), %rax
    jae 2f
    incq 16(%r13)
2:  mov %rax, 8(%r13)
    incq (%r13)
    jmp 1b
END_GUEST watch_clock
