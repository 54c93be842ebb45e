/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* System calls with neighbours of every kind: for what happens when their code is changed. */
#include "guest.inc"

.macro INVERT_ARGUMENTS
    .irp register, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r12, r14
    not %\register
    .endr
.endm

/*
 * One call for ever, with these neighbours. rbx holds a number for those that
 * do not load it; r13 holds where to go once, then it is the start again; what
 * is behind the call adds 1 to r15.
 */
.macro PATTERN name, before, behind
GUEST patch_\name
1:  INVERT_ARGUMENTS
    mov %r13, %rcx
    lea guest_patch_\name\()_start(%rip), %r13
    jmp *%rcx
    nop /* else the end of the jump would look like part of the instruction before the call */
GUEST_LABEL patch_\name\()_start
    \before
GUEST_LABEL patch_\name\()_call
    syscall
GUEST_LABEL patch_\name\()_behind
    \behind
    jmp 1b
END_GUEST patch_\name
.endm

/* The instruction before is taken: a jump is behind. */
PATTERN mov_eax, "mov $CALL_NUMBER, %eax", "jmp 2f; 2: inc %r15"
PATTERN mov_rax, "mov $CALL_NUMBER, %rax", "jmp 2f; 2: inc %r15"
PATTERN movabs, "movabs $CALL_NUMBER, %rax", "jmp 2f; 2: inc %r15"
PATTERN mov_return, "mov $CALL_NUMBER, %eax", "jmp 2f; 2: lea 1(%r15), %r15"

/* What is behind is taken. */
PATTERN libc_inline, "mov $CALL_NUMBER, %eax", "cmp $-4095, %rax; jae 2f; 2: inc %r15"
PATTERN libc_wrapper, "mov %rbx, %rax", "cmp $-4095, %rax; jae 2f; 2: inc %r15"
PATTERN go_wrapper, "mov %rbx, %rax", "cmp $0xfffffffffffff001, %rax; jbe 2f; 2: inc %r15"
PATTERN two_shorts, "mov %rbx, %rax", "inc %r15; test %rax, %rax"
PATTERN nops_behind, "mov %rbx, %rax", "nopl (%rax); nopw (%rax); inc %r15"
PATTERN long_lea, "mov %rbx, %rax", "lea 0x100(%r15), %r15; sub $0xff, %r15"
PATTERN to_scratch, "mov %rbx, %rax", "mov $0x12345678, %ecx; inc %r15"

/* Left alone, each for its own reason. */
PATTERN refused_relative, "mov %rbx, %rax", "jmp 2f; 2: inc %r15"
PATTERN refused_rcx, "mov %rbx, %rax", "lea 1(%rcx), %rax; inc %r15"
PATTERN refused_rsp, "mov %rbx, %rax", "lea 0x100(%rsp), %rsp; lea -0x100(%rsp), %rsp; inc %r15"
PATTERN refused_gs, "mov %rbx, %rax", "mov %gs:0x28, %rdx; inc %r15"
PATTERN refused_no_room, "mov %rbx, %rax", "lea 1(%r15), %r15; nop; nop"
PATTERN refused_unlisted, "mov %rbx, %rax", "movd %eax, %xmm0; inc %r15"
/* The b8 belongs to the comparison. Believed to start a mov, it would be one of the number in rbx, 0x113c9090. */
PATTERN refused_decoy, "mov %rbx, %rax; cmp $0xb8, %cl; nop; nop; cmp $0x11, %al", "jmp 2f; 2: inc %r15"
/* Whoever runs it goes on at its start. */
PATTERN refused_undecodable, "mov %rbx, %rax", ".byte 0x06"

/* Sets the flags from the word at rbx and stores those behind the call in the next one. */
.macro FLAGS name, behind
GUEST patch_flags_\name
1:  pushq (%rbx)
    popfq
    mov $CALL_NUMBER, %eax
    syscall
    \behind
    pushfq
    popq 8(%rbx)
    /* A set alignment flag would make traps of what follows. */
    pushq $2
    popfq
    inc %r15
    jmp 1b
END_GUEST patch_flags_\name
.endm

FLAGS before, "jmp 2f; 2:"
FLAGS behind, "lea 0x100(%r15), %r15; lea -0x100(%r15), %r15"

/* Counts in vector and x87 registers; the word at rbx is what x87 has. */
GUEST patch_fp
    fninit
    fldz
1:  paddq %xmm15, %xmm0
    paddq %xmm15, %xmm7
    fld1
    faddp
    fistl (%rbx)
    movq %xmm0, %rdi
    movq %xmm7, %rsi
    mov $CALL_NUMBER, %eax
    syscall
    inc %r15
    test %rax, %rax
    jmp 1b
END_GUEST patch_fp

/* What is behind the call stores to the stack. */
GUEST patch_store
1:  inc %r15
    mov %rbx, %rax
    syscall
GUEST_LABEL patch_store_behind
    mov %rax, 0x28(%rsp)
    jmp 1b
END_GUEST patch_store

/* The second instruction behind it adds to a word, which shows how often it did. */
GUEST patch_add
1:  inc %r15
    mov %rbx, %rax
    syscall
    inc %r14
GUEST_LABEL patch_add_behind
    add %rax, (%rbp)
    jmp 1b
END_GUEST patch_add

/* The instruction behind it reads. */
GUEST patch_load
1:  inc %r15
    mov %rbx, %rax
    syscall
GUEST_LABEL patch_load_behind
    mov 0x100(%rbp), %rdx
    jmp 1b
END_GUEST patch_load

/* arg 0 and 1: the 16 bytes of its own code that hold the call. */
GUEST patch_read_code
1:  inc %r15
    mov guest_patch_read_code_start(%rip), %rdi
    mov guest_patch_read_code_start + 8(%rip), %rsi
    jmp 2f
    .balign 16
GUEST_LABEL patch_read_code_start
2:  mov $CALL_NUMBER, %eax
    syscall
    test %rax, %rax
    test %rax, %rax
    jmp 1b
    .balign 16
END_GUEST patch_read_code

/*
 * Writes code to the page at rbx, the bytes of r14 and rbp with the number in
 * r12 put in, asks for the right to run it, calls it ten times, and asks for
 * the right to write. When the bytes are not what was written, it calls 4242.
 */
GUEST patch_jit
1:  inc %r12d
    mov %r12, %rax
    shl $8, %rax
    or %r14, %rax
    mov %rax, %r15
    mov %rax, (%rbx)
    mov %rbp, %r9
    mov %r9, 8(%rbx)
    mov %rbx, %rdi
    mov $5, %edx
    mov $10, %eax
    syscall
    mov $10, %r13d
2:  callq *%rbx
    dec %r13d
    jnz 2b
    mov %rbx, %rdi
    mov $3, %edx
    mov $10, %eax
    syscall
    cmp %r15, (%rbx)
    jne 3f
    cmp %r9, 8(%rbx)
    je 1b
3:  mov $4242, %eax
    syscall
    jmp 1b
END_GUEST patch_jit

/* Calls for ever, and between two calls goes once to the place in r13. */
GUEST patch_between
1:  inc %r15
    mov $CALL_NUMBER, %eax
    syscall
GUEST_LABEL patch_between_behind
    jmp 2f
2:  mov %r13, %rcx
    lea 1b(%rip), %r13
    jmp *%rcx
GUEST_LABEL patch_between_read_gs
    mov %gs:0, %rdi
    jmp 1b
GUEST_LABEL patch_between_read_at
    mov (%rbx), %rdi
    jmp 1b
GUEST_LABEL patch_between_get_base
    rdgsbase %rdi
    jmp 1b
GUEST_LABEL patch_between_set_base
    wrgsbase %rbx
    jmp 1b
GUEST_LABEL patch_between_load_null
    xor %ecx, %ecx
    mov %ecx, %gs
    jmp 1b
GUEST_LABEL patch_between_set_steps
    pushq $0x102
    popfq
    jmp 1b
GUEST_LABEL patch_between_clear_steps
    pushq $2
    popfq
    jmp 1b
END_GUEST patch_between

/* What is behind the call adds a number that is part of the code. */
GUEST patch_rewritten
1:  mov %rbx, %rax
    syscall
GUEST_LABEL patch_rewritten_behind
    add $0x101, %r15
    jmp 1b
END_GUEST patch_rewritten

/* Its movabs has a call and what can be displaced inside: from the place behind its opcode on. */
GUEST patch_inner
1:  inc %r15
GUEST_LABEL patch_inner_movabs
    movabs $0xfffff0013d48050f, %rdi
    mov $CALL_NUMBER, %eax
    syscall
    test %rax, %rax
    jmp 1b
END_GUEST patch_inner

/* What a signal returns to: at its call, with another number, it is one like others. */
GUEST patch_restorer
    mov $15, %eax
GUEST_LABEL patch_restorer_call
    syscall
    cmp $-4095, %rax
    hlt
END_GUEST patch_restorer
