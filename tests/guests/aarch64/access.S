/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One instruction each that touches memory at arg 0, and a call. */
#include "guest.inc"

    .arch armv8.4-a+sve

.macro FORM name, instruction:vararg
GUEST access_\name
    \instruction
    CALL
END_GUEST access_\name
.endm

/* With all elements of the vector. */
.macro SVE_FORM name, instruction:vararg
GUEST access_\name
    ptrue p0.b
    \instruction
    CALL
END_GUEST access_\name
.endm

FORM ldr, ldr x1, [x0]
FORM ldrb, ldrb w1, [x0]
FORM ldrsw, ldrsw x1, [x0]
FORM ldr_after, ldr x1, [x0], #8
FORM ldtr, ldtr x1, [x0]
FORM ldp, ldp x1, x2, [x0]
FORM ldpsw, ldpsw x1, x2, [x0]
FORM ldnp, ldnp x1, x2, [x0]
FORM ldr_q, ldr q1, [x0]
FORM ldr_s, ldr s1, [x0]
FORM ldp_q, ldp q1, q2, [x0]
FORM ld1, ld1 {v1.16b}, [x0]
FORM ld1_lane, ld1 {v1.b}[3], [x0]
FORM ld1r, ld1r {v1.4s}, [x0]
FORM ldxr, ldxr x1, [x0]
FORM ldaxp, ldaxp x1, x2, [x0]
FORM ldar, ldar x1, [x0]
FORM ldapr, ldapr x1, [x0]
FORM ldapur, ldapur x1, [x0]
SVE_FORM sve_ld1, ld1b {z1.b}, p0/z, [x0]
SVE_FORM sve_ldr, ldr z1, [x0]
SVE_FORM sve_ldr_p, ldr p1, [x0]

FORM str, str x1, [x0]
FORM strb, strb w1, [x0]
FORM str_before, str x1, [x0, #8]!
FORM stur, stur x1, [x0, #4]
FORM sttr, sttr x1, [x0]
FORM stp, stp x1, x2, [x0]
FORM stnp, stnp x1, x2, [x0]
FORM str_q, str q1, [x0]
FORM str_d, str d1, [x0]
FORM stp_q, stp q1, q2, [x0]
FORM st1, st1 {v1.16b}, [x0]
FORM st1_lane, st1 {v1.b}[3], [x0]
FORM st4, st4 {v1.4s, v2.4s, v3.4s, v4.4s}, [x0]
FORM stlr, stlr x1, [x0]
FORM stlur, stlur x1, [x0]
FORM zero, dc zva, x0
SVE_FORM sve_st1, st1b {z1.b}, p0, [x0]
SVE_FORM sve_str, str z1, [x0]

FORM cas, cas x1, x2, [x0]
FORM casal, casal x1, x2, [x0]
FORM casp, casp x2, x3, x4, x5, [x0]
FORM swp, swp x1, x2, [x0]
FORM ldadd, ldadd x1, x2, [x0]
FORM stadd, stadd x1, [x0]
FORM ldset, ldset w1, w2, [x0]
