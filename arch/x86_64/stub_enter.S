/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* stub_enter(stub_start, stub_end, cookie, embedder): the registers that tg_stub_entry expects. */
        .text
        .globl  stub_enter
        .hidden stub_enter
        .type   stub_enter, @function
stub_enter:
        movq    %rdx, %r12
        movslq  %ecx, %r15
        movq    %rdi, %r13
        movq    %rsi, %r14
        jmp     *%rdi
        .size   stub_enter, . - stub_enter

/* systrap_enter(region, file, embedder): those that tg_systrap_entry expects. */
        .globl  systrap_enter
        .hidden systrap_enter
        .type   systrap_enter, @function
systrap_enter:
        movq    %rdi, %r12
        movslq  %esi, %r14
        movslq  %edx, %r15
        jmp     *%rdi
        .size   systrap_enter, . - systrap_enter
        .section .note.GNU-stack, "", @progbits
