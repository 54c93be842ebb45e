/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.inc"

/* Of the block at arg 1: how often the clock was read, what it showed last, how often it had gone back, and room. */
GUEST watch_clock
    sub sp, sp, #16
    mov x19, x5
    mov x20, x0
    mov x21, x1
    movz x22, #0xca00
    movk x22, #0x3b9a, lsl #16
1:  mov x0, x20
    add x1, x21, #32
    blr x19
    ldp x9, x10, [x21, #32]
    madd x9, x9, x22, x10
    ldp x11, x12, [x21]
    cmp x9, x12
    b.hs 2f
    ldr x13, [x21, #16]
    add x13, x13, #1
    str x13, [x21, #16]
2:  add x11, x11, #1
    stp x11, x9, [x21]
    b 1b
END_GUEST watch_clock
