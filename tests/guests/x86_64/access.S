/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One guest for each way to touch memory. Entered with
 *   rdi  the target        rsi  a good page of zeroes
 *   rcx  1                 rax, rdx, rbx, rbp  0
 * FORM name, set-up, instruction: the label guest_NAME_at is the instruction
 * that faults; label 1 is behind it, where the guest calls.
 */
#include "guest.inc"

.macro FORM name, setup, instruction
    GUEST \name
    \setup
    GUEST_LABEL \name\()_at
    \instruction
1:  CALL
    END_GUEST \name
.endm

/* Reads */
FORM load_byte,       "", "mov (%rdi), %al"
FORM load_word,       "", "mov (%rdi), %rax"
FORM load_indexed,    "lea -24(%rdi), %r8", "mov 16(%r8,%rcx,8), %rax"
FORM load_addr32,     "", "mov (%edi), %eax"
FORM load_extend,     "", "movzbl (%rdi), %eax"
FORM load_sign,       "", "movslq (%rdi), %rax"
FORM add_from,        "", "add (%rdi), %rax"
FORM compare,         "", "cmp %rax, (%rdi)"
FORM compare_zero,    "", "cmpl $0, (%rdi)"
FORM test_bits,       "", "test %rax, (%rdi)"
FORM bit_test,        "", "bt %rax, (%rdi)"
FORM multiply,        "", "imul (%rdi), %rax"
FORM conditional,     "cmp %eax, %eax", "cmovne (%rdi), %rax"
FORM push_from,       "", "pushq (%rdi)"
FORM pop_register,    "mov %rdi, %rsp", "pop %rax"
FORM leave_frame,     "mov %rdi, %rbp", "leave"
FORM translate,       "mov %rdi, %rbx", "xlatb"
FORM load_string,     "mov %rdi, %rsi", "lodsb"
FORM scan_string,     "", "scasb"
FORM scan_repeated,   "", "repne scasb"
FORM compare_strings, "", "cmpsb"
FORM move_from,       "xchg %rdi, %rsi", "movsb"
FORM move_from_rep,   "xchg %rdi, %rsi", "rep movsb"
FORM move_both,       "mov %rdi, %rsi; add $64, %rdi", "movsb"
FORM load_sse,        "", "movups (%rdi), %xmm0"
FORM load_sse_op,     "", "addps (%rdi), %xmm0"
FORM load_sse_scalar, "", "movsd (%rdi), %xmm0"
FORM load_x87,        "", "fldl (%rdi)"
FORM load_x87_cw,     "", "fldcw (%rdi)"
FORM load_mxcsr,      "", "ldmxcsr (%rdi)"
FORM load_fxrstor,    "", "fxrstor (%rdi)"
FORM load_xrstor,     "mov $7, %eax", "xrstor (%rdi)"
FORM load_avx,        "", "vmovups (%rdi), %ymm0"
FORM load_gather,     "vpcmpeqd %ymm1, %ymm1, %ymm1; vpxor %ymm2, %ymm2, %ymm2", "vpgatherdd %ymm1, (%rdi,%ymm2,1), %ymm0"
FORM load_avx512,     "", "vmovups (%rdi), %zmm0"
FORM load_avx512_op,  "", "vaddps (%rdi){1to16}, %zmm1, %zmm0"
FORM load_fs,         "", "mov %fs:(%rdi), %al"
FORM load_gs,         "", "mov %gs:(%rdi), %al"

/* Writes, and everything that reads and writes */
FORM store_byte,      "", "mov %al, (%rdi)"
FORM store_word,      "", "mov %rax, (%rdi)"
FORM store_constant,  "", "movl $1, (%rdi)"
FORM store_indexed,   "lea -24(%rdi), %r8", "mov %rax, 16(%r8,%rcx,8)"
FORM store_nontemp,   "", "movnti %rax, (%rdi)"
FORM store_condition, "", "sete (%rdi)"
FORM store_segment,   "", "mov %ds, (%rdi)"
FORM add_to,          "", "add %rax, (%rdi)"
FORM or_to,           "", "orb $0, (%rdi)"
FORM increment,       "", "incl (%rdi)"
FORM increment_lock,  "", "lock incq (%rdi)"
FORM negate,          "", "negl (%rdi)"
FORM shift,           "", "shll $1, (%rdi)"
FORM shift_double,    "", "shld $3, %rax, (%rdi)"
FORM bit_set,         "", "bts %rax, (%rdi)"
FORM bit_reset_lock,  "", "lock btr %rax, (%rdi)"
FORM exchange,        "", "xchg %rax, (%rdi)"
FORM exchange_add,    "", "lock xadd %rax, (%rdi)"
FORM compare_swap,    "", "lock cmpxchg %rcx, (%rdi)"
FORM compare_swap_no, "mov $5, %eax", "cmpxchg %rcx, (%rdi)"
FORM compare_swap_16, "", "cmpxchg16b (%rdi)"
FORM push_register,   "lea 8(%rdi), %rsp", "push %rax"
FORM push_constant,   "lea 8(%rdi), %rsp", "push $1"
FORM push_memory,     "lea 8(%rdi), %rsp", "pushq (%rsi)"
FORM push_flags,      "lea 8(%rdi), %rsp", "pushf"
FORM call_near,       "lea 8(%rdi), %rsp", "callq 1f"
FORM call_register,   "lea 8(%rdi), %rsp; lea 1f(%rip), %rax", "callq *%rax"
FORM enter_frame,     "lea 8(%rdi), %rsp", "enter $0, $0"
FORM pop_to,          "push %rax", "popq (%rdi)"
FORM store_string,    "", "stosb"
FORM store_string_rep,"", "rep stosq"
FORM move_to,         "", "movsb"
FORM move_to_rep,     "", "rep movsq"
FORM store_sse,       "", "movups %xmm0, (%rdi)"
FORM store_sse_low,   "", "movlps %xmm0, (%rdi)"
FORM store_sse_nt,    "", "movntps %xmm0, (%rdi)"
FORM store_masked,    "pcmpeqd %xmm1, %xmm1", "maskmovdqu %xmm1, %xmm0"
FORM store_x87,       "fld1", "fstpl (%rdi)"
FORM store_x87_int,   "fld1", "fistpl (%rdi)"
FORM store_x87_cw,    "", "fnstcw (%rdi)"
FORM store_x87_all,   "", "fnsave (%rdi)"
FORM store_mxcsr,     "", "stmxcsr (%rdi)"
FORM store_fxsave,    "", "fxsave (%rdi)"
FORM store_xsave,     "mov $7, %eax", "xsave (%rdi)"
FORM store_avx,       "", "vmovups %ymm0, (%rdi)"
FORM store_avx_mask,  "vpcmpeqd %ymm1, %ymm1, %ymm1", "vmaskmovps %ymm0, %ymm1, (%rdi)"
FORM store_avx512,    "", "vmovups %zmm0, (%rdi)"
FORM store_avx512_k,  "kxnorw %k1, %k1, %k1", "vmovdqu32 %zmm0, (%rdi){%k1}"
FORM store_scatter,   "kxnorw %k1, %k1, %k1; vpxorq %zmm2, %zmm2, %zmm2", "vpscatterdd %zmm0, (%rdi,%zmm2,1){%k1}"
FORM store_fs,        "", "mov %al, %fs:(%rdi)"
FORM store_gs,        "", "mov %al, %gs:(%rdi)"

/* Hints that never fault */
FORM hint_prefetch,   "", "prefetcht0 (%rdi)"
FORM hint_prefetchw,  "", "prefetchw (%rdi)"
FORM hint_lea,        "", "lea (%rdi), %rax"
FORM hint_nop,        "", "nopl (%rdi)"

/* Writes to the instruction itself: the address is its own, the access is not EXEC. */
GUEST write_own_code
GUEST_LABEL write_own_code_at
    movb $0x90, write_own_code_self(%rip)
    CALL
END_GUEST write_own_code
.set write_own_code_self, guest_write_own_code_at

/* Jumps through a pointer at the target. */
GUEST jump_through
GUEST_LABEL jump_through_at
    jmp *(%rdi)
END_GUEST jump_through

GUEST return_through
    mov %rdi, %rsp
GUEST_LABEL return_through_at
    ret
END_GUEST return_through

/* An instruction of ten bytes; the tests place it across a page edge. */
GUEST long_instruction
    movabs $0x1122334455667788, %rdi
    CALL
END_GUEST long_instruction

/* A nop of nine bytes: a prefix of it is no instruction. */
GUEST long_nop
    .byte 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00
    CALL
END_GUEST long_nop

/* Copies rcx words from rsi to rdi. */
GUEST copy_words
    rep movsq
    CALL
END_GUEST copy_words
