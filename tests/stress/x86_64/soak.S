/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.inc"

/*
 * Derives every general register, the stack pointer included, and every SSE
 * register from the seed in rdi, computes for a moment, makes a call and
 * compares what came back; the result of the call is the next seed. Whatever
 * is wrong ends in an invalid instruction.
 */
.macro SOAK name, delay
GUEST \name
1:
    lea 1(%rdi), %rsi
    lea 2(%rdi), %rdx
    lea 3(%rdi), %r10
    lea 4(%rdi), %r8
    lea 5(%rdi), %r9
    lea 6(%rdi), %rbx
    lea 7(%rdi), %rbp
    lea 8(%rdi), %r12
    lea 9(%rdi), %r13
    lea 10(%rdi), %r14
    lea 11(%rdi), %r15
    lea 12(%rdi), %rsp
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    lea 16 + \n(%rdi), %rax
    movq %rax, %xmm\n
    punpcklqdq %xmm\n, %xmm\n
    .endr

    mov %edi, %ecx
    and $\delay, %ecx
    inc %ecx
2:  dec %ecx
    jnz 2b
    CALL

    mov %rax, %r11
    lea 1(%rdi), %rcx
    cmp %rcx, %rsi
    jne 3f
    lea 2(%rdi), %rcx
    cmp %rcx, %rdx
    jne 3f
    lea 3(%rdi), %rcx
    cmp %rcx, %r10
    jne 3f
    lea 4(%rdi), %rcx
    cmp %rcx, %r8
    jne 3f
    lea 5(%rdi), %rcx
    cmp %rcx, %r9
    jne 3f
    lea 6(%rdi), %rcx
    cmp %rcx, %rbx
    jne 3f
    lea 7(%rdi), %rcx
    cmp %rcx, %rbp
    jne 3f
    lea 8(%rdi), %rcx
    cmp %rcx, %r12
    jne 3f
    lea 9(%rdi), %rcx
    cmp %rcx, %r13
    jne 3f
    lea 10(%rdi), %rcx
    cmp %rcx, %r14
    jne 3f
    lea 11(%rdi), %rcx
    cmp %rcx, %r15
    jne 3f
    lea 12(%rdi), %rcx
    cmp %rcx, %rsp
    jne 3f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    lea 16 + \n(%rdi), %rcx
    movq %xmm\n, %rax
    cmp %rcx, %rax
    jne 3f
    punpckhqdq %xmm\n, %xmm\n
    movq %xmm\n, %rax
    cmp %rcx, %rax
    jne 3f
    .endr
    mov %r11, %rdi
    jmp 1b
3:  ud2
END_GUEST \name
.endm

    SOAK soak, 0x3ff
    SOAK soak_slow, 0xffff
