/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guests that ask: a call that may be answered without an event. See answers.h for what each does. */
#include "guest.inc"

.set ASKED_NUMBER, 173 /* getppid: what ASKED_CALL is in C */

.macro ASK
    mov x8, #ASKED_NUMBER
    svc #0
.endm

GUEST ask_and_tell
1:  ASK
    CALL
    b 1b
END_GUEST ask_and_tell

/* The answer takes the place of argument 0, which comes back from below the stack. */
GUEST ask_then_tell
1:  stur x0, [sp, #-16]
    ASK
    ldur x0, [sp, #-16]
    CALL
    b 1b
END_GUEST ask_then_tell

GUEST ask_times
1:  mov x19, x0
2:  ASK
    subs x19, x19, #1
    b.ne 2b
    CALL
    b 1b
END_GUEST ask_times

GUEST ask_counting
    mov x19, x0
1:  ASK
    str x0, [x19, #8]
2:  ldaxr x9, [x19]
    add x9, x9, #1
    stlxr w10, x9, [x19]
    cbnz w10, 2b
    b 1b
END_GUEST ask_counting

GUEST ask_checked
1:  ASK
    lsr x9, x0, #32
    cmp w9, w0
    b.eq 1b
    udf #0
END_GUEST ask_checked
