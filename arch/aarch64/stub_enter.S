/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* a64_ptrace_enter(stub_start, stub_end, cookie, embedder): the registers that tg_stub_entry expects. */
        .text
        .globl  a64_ptrace_enter
        .hidden a64_ptrace_enter
        .type   a64_ptrace_enter, %function
a64_ptrace_enter:
        bti     c
        mov     x20, x0
        mov     x21, x1
        mov     x19, x2
        sxtw    x22, w3
        br      x0
        .size   a64_ptrace_enter, . - a64_ptrace_enter
        .section .note.GNU-stack, "", %progbits
