/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The frame that rt_sigreturn(2) takes back from the stack, as the kernel lays it out. */
#ifndef TESTS_HOSTILE_X86_64_FRAME_H
#define TESTS_HOSTILE_X86_64_FRAME_H

#include <stdint.h>

struct signal_frame {
    uint64_t flags;
    uint64_t link;
    uint64_t stack_start, stack_flags, stack_size;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uint64_t fpstate;
    uint64_t reserved[8];
    uint64_t signal_mask;
};

#define SELECTOR_CODE64 0x33
#define SELECTOR_DATA   0x2b
#define FLAGS_PLAIN     0x202

#endif
