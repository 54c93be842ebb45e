/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* x86_ptrace_enter(stub_start, stub_end, cookie, embedder): the registers that tg_stub_entry expects. */
        .text
        .globl  x86_ptrace_enter
        .hidden x86_ptrace_enter
        .type   x86_ptrace_enter, @function
x86_ptrace_enter:
        movq    %rdx, %r12
        movslq  %ecx, %r15
        movq    %rdi, %r13
        movq    %rsi, %r14
        jmp     *%rdi
        .size   x86_ptrace_enter, . - x86_ptrace_enter
        .section .note.GNU-stack, "", @progbits
