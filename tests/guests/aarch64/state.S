/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guests that look at what a context has besides its general registers. */
#include "guest.inc"

    .arch armv8.4-a+sve

.macro VECTORS operation, base
    .irp n, 0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
    VECTOR_PAIR \operation, \n, \base
    .endr
.endm

.macro VECTOR_PAIR operation, n, base
    .set next, \n + 1
    VECTOR_PAIR_NAMED \operation, \n, %next, \base
.endm

    .altmacro
.macro VECTOR_PAIR_NAMED operation, n, next, base
    \operation q\n, q\next, [\base, #(16 * \n)]
.endm

/* Stores v0 to v31 at arg 0 and calls, for ever. */
GUEST fp_store
1:  VECTORS stp, x0
    CALL
    b 1b
END_GUEST fp_store

/* Loads v0 to v31 from arg 0 and calls, for ever. */
GUEST fp_load
1:  VECTORS ldp, x0
    CALL
    b 1b
END_GUEST fp_load

/* Has values in all of z0 and p0 when it reads the word at arg 0. */
GUEST sve_fault
    mov z0.b, #0x77
    ptrue p0.b
    ldr x1, [x0]
    CALL
END_GUEST sve_fault

/* Stores z0 and p0 at arg 0, and calls with the length of z0 as arg 1. */
GUEST sve_store
    mov x9, x0
    rdvl x1, #1
    str z0, [x9]
    add x9, x9, #256
    str p0, [x9]
    CALL
END_GUEST sve_store

/* Signs the address in arg 0 with arg 1 and calls, for ever. */
GUEST sign
1:  pacia x0, x1
    CALL
    b 1b
END_GUEST sign
