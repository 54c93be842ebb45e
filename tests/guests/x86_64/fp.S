/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Each loads one part of the FP state from (rdi), calls, stores it to (rsi),
 * calls, and starts again. Whatever runs between the two calls must not show.
 */
#include "guest.inc"

.macro LOAD_CALL_STORE name, load, store
    GUEST \name
9:  \load
    CALL
    \store
    CALL
    jmp 9b
    END_GUEST \name
.endm

.macro LOAD_X87
    fninit
    .irp slot, 0, 8, 16, 24, 32, 40, 48, 56
    fldl \slot(%rdi)
    .endr
.endm
.macro STORE_X87
    .irp slot, 56, 48, 40, 32, 24, 16, 8, 0
    fstpl \slot(%rsi)
    .endr
.endm

.macro EACH_16 instruction, bank, size, base, direction
    .irp index, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .ifc \direction, in
    \instruction (\index * \size)(\base), %\bank\index
    .else
    \instruction %\bank\index, (\index * \size)(\base)
    .endif
    .endr
.endm

.macro LOAD_ZMM
    .irp index, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    vmovups (\index * 64)(%rdi), %zmm\index
    .endr
    .irp index, 0, 1, 2, 3, 4, 5, 6, 7
    kmovw (2048 + \index * 2)(%rdi), %k\index
    .endr
.endm
.macro STORE_ZMM
    .irp index, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    vmovups %zmm\index, (\index * 64)(%rsi)
    .endr
    .irp index, 0, 1, 2, 3, 4, 5, 6, 7
    kmovw %k\index, (2048 + \index * 2)(%rsi)
    .endr
.endm

.macro LOAD_CONTROL
    fldcw (%rdi)
    ldmxcsr 4(%rdi)
.endm
.macro STORE_CONTROL
    fnstcw (%rsi)
    stmxcsr 4(%rsi)
.endm

LOAD_CALL_STORE fp_x87,     "LOAD_X87", "STORE_X87"
LOAD_CALL_STORE fp_sse,     "EACH_16 movups, xmm, 16, %rdi, in", "EACH_16 movups, xmm, 16, %rsi, out"
LOAD_CALL_STORE fp_avx,     "EACH_16 vmovups, ymm, 32, %rdi, in", "EACH_16 vmovups, ymm, 32, %rsi, out"
LOAD_CALL_STORE fp_avx512,  "LOAD_ZMM", "STORE_ZMM"
LOAD_CALL_STORE fp_control, "LOAD_CONTROL", "STORE_CONTROL"

/* Loads SSE registers from (rdi) once, then calls for ever and stores them to (rsi) after each call. */
GUEST fp_load_once
    EACH_16 movups, xmm, 16, %rdi, in
1:  CALL
    EACH_16 movups, xmm, 16, %rsi, out
    jmp 1b
END_GUEST fp_load_once

/* Stores SSE registers and the control words to (rsi) without ever having set them, calls, for ever. */
GUEST fp_look
1:  EACH_16 movups, xmm, 16, %rsi, out
    fnstcw 256(%rsi)
    stmxcsr 260(%rsi)
    CALL
    jmp 1b
END_GUEST fp_look

/* Loads SSE registers from (rdi) and then faults at (rdx); stores them when it goes on. */
GUEST fp_fault
    EACH_16 movups, xmm, 16, %rdi, in
    mov (%rdx), %al
    EACH_16 movups, xmm, 16, %rsi, out
    CALL
END_GUEST fp_fault

/* Loads SSE registers from (rdi), says so at (rdx) and spins until 8(rdx) is set; then stores them to (rsi). */
GUEST fp_spin
    EACH_16 movups, xmm, 16, %rdi, in
    movq $1, (%rdx)
1:  pause
    cmpq $0, 8(%rdx)
    je 1b
    EACH_16 movups, xmm, 16, %rsi, out
    CALL
END_GUEST fp_spin
