/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Faulting instructions and what they did. The registers are those of
 * fault_access_test.c; instructions are at CODE.
 */
    .set READ, 1
    .set WRITE, 2
    .set EXEC, 4

    .set RDI, 0x1000
    .set RSI, 0x2000
    .set RSP, 0x8000
    .set RBP, 0x9000
    .set FS, 0x50000
    .set GS, 0x60000
    .set CODE, 0x400000

/* One struct fault_case. No blanks in the address: they separate arguments. */
.macro CASE addr, access, instruction:vararg
    .section .rodata.code, "a", @progbits
1:  \instruction
2:
    .section .rodata.names, "a", @progbits
3:  .asciz "\instruction"
    .section .data.rel.ro.cases, "aw", @progbits
    .quad 3b, 1b, 2b - 1b, \addr, \access
.endm

    .section .data.rel.ro.cases, "aw", @progbits
    .global fault_cases
    .global fault_cases_end
    .balign 8
fault_cases:

    /* Plain loads and stores, all sizes and ways to form an address. */
    CASE RDI, READ, movb (%rdi), %al
    CASE RDI, READ, mov (%rdi), %rax
    CASE RDI, WRITE, mov %rax, (%rdi)
    CASE RDI, WRITE, movl $1, (%rdi)
    CASE RDI, WRITE, movb $1, (%rdi)
    CASE RDI+7, READ, mov (%rdi), %rax
    CASE RDI+0x10+4*8, READ, mov 0x10(%rdi, %rcx, 8), %rax
    CASE RDI-0x20, WRITE, mov %al, -0x20(%rdi)
    CASE CODE+7+0x100, READ, mov 0x100(%rip), %rax
    CASE CODE+7+0x100, WRITE, mov %rax, 0x100(%rip)
    CASE FS+0x28, READ, mov %fs:0x28, %rax
    CASE GS+RDI, WRITE, mov %rax, %gs:(%rdi)
    CASE RDI, READ, mov (%edi), %eax
    CASE RBP-8, READ, mov -8(%rbp), %rax
    CASE RDI, READ, movzbl (%rdi), %eax
    CASE RDI, READ, movsbl (%rdi), %eax
    CASE RDI, WRITE, movnti %rax, (%rdi)
    CASE RDI, WRITE, movbe %eax, (%rdi)
    CASE RDI, READ, movbe (%rdi), %eax
    CASE 0x123456789, READ, movabs 0x123456789, %rax
    CASE 0x123456789, WRITE, movabs %rax, 0x123456789

    /* Arithmetic: a memory destination is read and written, which counts as a write. */
    CASE RDI, WRITE, add %rax, (%rdi)
    CASE RDI, READ, add (%rdi), %rax
    CASE RDI, READ, cmp %rax, (%rdi)
    CASE RDI, READ, test %rax, (%rdi)
    CASE RDI, WRITE, incq (%rdi)
    CASE RDI, WRITE, notq (%rdi)
    CASE RDI, WRITE, shlq $3, (%rdi)
    CASE RDI, READ, mulq (%rdi)
    CASE RDI, READ, imul (%rdi), %rax
    CASE RDI, READ, divq (%rdi)
    CASE RDI, WRITE, sete (%rdi)
    CASE RDI, READ, cmove (%rdi), %rax
    CASE RDI, READ, bt %eax, (%rdi)
    CASE RDI, WRITE, btsl $1, (%rdi)

    /* Atomics. */
    CASE RDI, WRITE, xchg %rax, (%rdi)
    CASE RDI, WRITE, lock xadd %rax, (%rdi)
    CASE RDI, WRITE, lock cmpxchg %rdx, (%rdi)
    CASE RDI, WRITE, lock cmpxchg8b (%rdi)
    CASE RDI, WRITE, lock cmpxchg16b (%rdi)
    CASE RDI, WRITE, lock orl $0, (%rdi)

    /* The stack: pushes store below it, pops load from it. */
    CASE RSP-8, WRITE, push %rax
    CASE RSP-8, WRITE, pushq $1
    CASE RSP, READ, pop %rax
    CASE RSP-8, WRITE, pushf
    CASE RSP, READ, popf
    CASE RSP-8, WRITE, call . + 0x100
    CASE RSP-8, WRITE, call *%rax
    CASE RSP, READ, ret
    CASE RBP, READ, leave
    CASE RSP-8, WRITE, enter $16, $0

    /* Two operands in memory: the address says which it was. */
    CASE RDI, READ, pushq (%rdi)
    CASE RSP-8, WRITE, pushq (%rdi)
    CASE RDI, WRITE, popq (%rdi)
    CASE RSP, READ, popq (%rdi)
    CASE RDI, READ, call *(%rdi)
    CASE RSP-8, WRITE, call *(%rdi)
    CASE RDI, READ, jmp *(%rdi)

    /* Strings. */
    CASE RSI, READ, movsb
    CASE RDI, WRITE, movsb
    CASE RSI, READ, rep movsq
    CASE RDI, WRITE, rep movsq
    CASE RDI, WRITE, stosb
    CASE RDI, WRITE, rep stosq
    CASE RSI, READ, lodsq
    CASE RDI, READ, scasb
    CASE RDI, READ, repe cmpsb
    CASE RSI, READ, repe cmpsb

    /* Vectors, up to the last byte. */
    CASE RDI, READ, movups (%rdi), %xmm0
    CASE RDI+15, WRITE, movups %xmm0, (%rdi)
    CASE RDI, WRITE, movntdq %xmm0, (%rdi)
    CASE RDI+31, READ, vmovdqu (%rdi), %ymm0
    CASE RDI+31, WRITE, vmovdqu %ymm0, (%rdi)
    CASE RDI+63, WRITE, vmovdqu64 %zmm0, (%rdi)
    CASE RDI, READ, paddd (%rdi), %xmm0
    CASE RDI, WRITE, movss %xmm0, (%rdi)
    CASE RDI, WRITE, pextrq $0, %xmm0, (%rdi)
    CASE RDI, READ, vpgatherdd %ymm2, (%rdi, %ymm1, 4), %ymm0
    CASE RDI, WRITE, vpscatterdd %zmm0, (%rdi, %zmm1, 4){%k1}
    CASE RDI, WRITE, maskmovdqu %xmm1, %xmm0
    CASE RDI, READ, vmaskmovps (%rdi), %ymm1, %ymm0
    CASE RDI, WRITE, vmaskmovps %ymm0, %ymm1, (%rdi)

    /* x87 and whole states. */
    CASE RDI, READ, fldt (%rdi)
    CASE RDI, WRITE, fstpt (%rdi)
    CASE RDI, READ, fildq (%rdi)
    CASE RDI, WRITE, fistpq (%rdi)
    CASE RDI, READ, fldcw (%rdi)
    CASE RDI, WRITE, fnstcw (%rdi)
    CASE RDI+0x1ff, WRITE, fxsave (%rdi)
    CASE RDI+0x1ff, READ, fxrstor (%rdi)
    CASE RDI+0x300, WRITE, xsave (%rdi)
    CASE RDI+0x300, READ, xrstor (%rdi)
    CASE RDI, READ, ldmxcsr (%rdi)
    CASE RDI, WRITE, stmxcsr (%rdi)

    /* The fetch itself. */
    CASE CODE, EXEC, nop
    CASE CODE, EXEC, mov %rax, (%rdi)
    CASE CODE, EXEC, ret

fault_cases_end:
    .section .note.GNU-stack, "", @progbits
