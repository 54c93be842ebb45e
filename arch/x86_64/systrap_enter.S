/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* x86_systrap_enter(region, file, embedder): the registers that tg_systrap_entry expects. */
        .text
        .globl  x86_systrap_enter
        .hidden x86_systrap_enter
        .type   x86_systrap_enter, @function
x86_systrap_enter:
        movq    %rdi, %r12
        movslq  %esi, %r14
        movslq  %edx, %r15
        jmp     *%rdi
        .size   x86_systrap_enter, . - x86_systrap_enter
        .section .note.GNU-stack, "", @progbits
