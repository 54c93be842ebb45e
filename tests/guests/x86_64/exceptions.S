/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One guest for each exception. Entered with a data page at rdi; an exception that is masked ends in the call. */
#include "guest.inc"

.macro RAISE name, setup, instruction
    GUEST raise_\name
    \setup
    \instruction
    CALL
    END_GUEST raise_\name
.endm

RAISE halt,             "", "hlt"
RAISE port_in,          "mov $0x80, %dx", "in %dx, %al"
RAISE port_out,         "mov $0x80, %dx", "out %al, %dx"
RAISE cli,              "", "cli"
RAISE read_msr,         "mov $0x10, %ecx", "rdmsr"
RAISE load_cr0,         "", "mov %cr0, %rax"
RAISE invalidate,       "", "invlpg (%rdi)"
RAISE bad_vector,       "", "int $0x42"
RAISE bad_segment,      "mov $0x1234, %eax", "mov %eax, %ds"
RAISE noncanonical,     "movabs $0x8000000000000000, %rax", "mov (%rax), %al"
RAISE noncanonical_ss,  "movabs $0x8000000000000000, %rsp", "push %rax"
RAISE misaligned_sse,   "lea 1(%rdi), %rdi", "movaps (%rdi), %xmm0"
RAISE misaligned_cas,   "lea 8(%rdi), %rdi", "cmpxchg16b (%rdi)"
RAISE undefined,        "", "ud2"
RAISE bad_opcode,       "", ".byte 0x0f, 0x04"
RAISE bad_lock,         "", ".byte 0xf0, 0x90"
RAISE old_push,         "", ".byte 0x06"
RAISE too_long,         "", ".fill 15, 1, 0x66; nop"
RAISE breakpoint,       "", "int3"
RAISE breakpoint_long,  "", ".byte 0xcd, 0x03"
RAISE icebp,            "", ".byte 0xf1"
RAISE overflow_vector,  "", "int $4"
RAISE trap_flag,        "pushf; orl $0x100, (%rsp); popf; nop", "nop"
RAISE divide_zero,      "xor %ecx, %ecx; xor %edx, %edx; mov $1, %eax", "div %ecx"
RAISE divide_overflow,  "mov $0x80000000, %eax; cdq; mov $-1, %ecx", "idiv %ecx"
RAISE divide_memory,    "movl $0, (%rdi); mov $1, %eax; cdq", "divl (%rdi)"
RAISE aligned_check,    "pushf; orl $0x40000, (%rsp); popf", "mov 1(%rdi), %eax"
RAISE aligned_check_st, "pushf; orl $0x40000, (%rsp); popf", "mov %eax, 1(%rdi)"

/* Control words with one exception unmasked: fcw at (rdi), mxcsr at 4(rdi). */
RAISE x87_divide,       "fninit; movw $0x37b, (%rdi); fldcw (%rdi); fld1; fldz; fdivrp", "fwait"
RAISE x87_invalid,      "fninit; movw $0x37e, (%rdi); fldcw (%rdi); fldz; fldz; fdivrp", "fwait"
RAISE x87_overflow,     "fninit; movw $0x377, (%rdi); fldcw (%rdi); movl $0x7fff, 8(%rdi); fildl 8(%rdi); fld1; fscale", "fstpl (%rdi); fwait"
RAISE x87_inexact,      "fninit; movw $0x35f, (%rdi); fldcw (%rdi); fld1; fldpi; fdivrp", "fwait"
RAISE x87_stack,        "fninit; movw $0x37e, (%rdi); fldcw (%rdi); fstp %st(0)", "fwait"
RAISE x87_masked,       "fninit; fld1; fldz; fdivrp", "fwait"

RAISE sse_divide,       "movl $0x1d80, 4(%rdi); ldmxcsr 4(%rdi); mov $1, %eax; cvtsi2ss %eax, %xmm0; xorps %xmm1, %xmm1", "divss %xmm1, %xmm0"
RAISE sse_invalid,      "movl $0x1f00, 4(%rdi); ldmxcsr 4(%rdi); xorps %xmm0, %xmm0; xorps %xmm1, %xmm1", "divss %xmm1, %xmm0"
RAISE sse_inexact,      "movl $0x0f80, 4(%rdi); ldmxcsr 4(%rdi); mov $1, %eax; cvtsi2ss %eax, %xmm0; mov $3, %eax; cvtsi2ss %eax, %xmm1", "divss %xmm1, %xmm0"
RAISE sse_overflow,     "movl $0x1b80, 4(%rdi); ldmxcsr 4(%rdi); movl $0x7f7fffff, 8(%rdi); movss 8(%rdi), %xmm0", "mulss %xmm0, %xmm0"
RAISE sse_masked,       "movl $0x1f80, 4(%rdi); ldmxcsr 4(%rdi); mov $1, %eax; cvtsi2ss %eax, %xmm0; xorps %xmm1, %xmm1", "divss %xmm1, %xmm0"
RAISE bad_mxcsr,        "movl $0x80000000, 4(%rdi)", "ldmxcsr 4(%rdi)"

/* Page faults: the error code tells them apart. */
RAISE load_page,        "", "mov 5(%rdi), %al"
RAISE store_page,       "", "movb $1, 5(%rdi)"
RAISE run_page,         "", "jmp *%rdi"
RAISE load_null,        "mov $8, %edi", "mov (%rdi), %al"
RAISE store_null,       "mov $8, %edi", "movb $1, (%rdi)"
RAISE run_null,         "mov $8, %edi", "jmp *%rdi"
RAISE load_kernel,      "mov $0xffffffff80000000, %rdi", "mov (%rdi), %al"
RAISE store_kernel,     "mov $0xffffffff80000000, %rdi", "movb $1, (%rdi)"
RAISE run_kernel,       "mov $0xffffffff80000000, %rdi", "jmp *%rdi"

/* Counts into rsi behind each breakpoint. */
GUEST breakpoints
    int3
    inc %rsi
    int3
    inc %rsi
    CALL
END_GUEST breakpoints

GUEST read_cpuid
    mov $1, %eax
    xor %ecx, %ecx
GUEST_LABEL read_cpuid_at
    cpuid
    CALL
END_GUEST read_cpuid

GUEST read_tsc
GUEST_LABEL read_tsc_at
    rdtsc
    mov %rax, %rdi
    CALL
END_GUEST read_tsc

GUEST read_tscp
GUEST_LABEL read_tscp_at
    rdtscp
    mov %rax, %rdi
    CALL
END_GUEST read_tscp
