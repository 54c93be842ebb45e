/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The guests that every architecture has: see guests.h for what each does. */
#include "guest.inc"

GUEST call_loop
1:  CALL
    b 1b
END_GUEST call_loop

GUEST raw_call_loop
1:  svc #0
    b 1b
END_GUEST raw_call_loop

GUEST counting_calls
    mov x19, #0
1:  add x19, x19, #1
    mov x0, x19
    CALL
    b 1b
END_GUEST counting_calls

/* The result is in the register of argument 0 already. */
GUEST echo_result
1:  CALL
    b 1b
END_GUEST echo_result

/* The vDSO's clocks read a word at sp, so that there is something. */
GUEST call_function
    sub sp, sp, #16
    mov x19, x5
1:  blr x19
    CALL
    b 1b
END_GUEST call_function

GUEST spin
1:  yield
    b 1b
END_GUEST spin

GUEST spin_counting
1:  ldxr x9, [x0]
    add x9, x9, #1
    stxr w10, x9, [x0]
    b 1b
END_GUEST spin_counting

/* Two registers count up and two count down; the sum of each pair never changes between iterations. */
GUEST spin_registers
    mov x9, #0
    mov x10, #0
1:  add x9, x9, #1
    sub x10, x10, #1
    b 1b
END_GUEST spin_registers

/* Where the embedder sets no result the call leaves argument 0 as it is. */
GUEST read_calls
1:  ldr x1, [x0]
    CALL
    b 1b
END_GUEST read_calls

GUEST write_calls
1:  str x1, [x0]
    CALL
    b 1b
END_GUEST write_calls

GUEST read_then_write
    ldr x9, [x0]
    str x1, [x0]
    CALL
END_GUEST read_then_write

GUEST jump
    br x0
END_GUEST jump

GUEST jump_by_return
    stur x0, [sp, #-8]
    ldur x30, [sp, #-8]
    ret
END_GUEST jump_by_return

/* x30 and sp change places. */
.macro SWAP_SP
    add sp, sp, x30
    sub x30, sp, x30
    sub sp, sp, x30
.endm

/* Inverts every general register, sp too. */
.macro INVERT_REGISTERS
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    mvn x\n, x\n
    .endr
    SWAP_SP
    mvn x30, x30
    SWAP_SP
.endm

GUEST invert_then_call
1:  INVERT_REGISTERS
    svc #0
    b 1b
END_GUEST invert_then_call

/* A store needs a register with the address: arch_fill_registers() makes x17 all ones. */
GUEST invert_then_fault
1:  INVERT_REGISTERS
GUEST_LABEL invert_then_fault_at
    str x0, [x17]
    b 1b
END_GUEST invert_then_fault

GUEST steps
    nop
    nop
    nop
GUEST_LABEL steps_call
    CALL
GUEST_LABEL steps_after_call
    nop
GUEST_LABEL steps_next
    nop
    nop
    CALL
END_GUEST steps

GUEST wait_for_word
1:  yield
    ldr x9, [x0]
    cbz x9, 1b
    CALL
END_GUEST wait_for_word

GUEST compute_calls
1:  mov x9, x0
2:  subs x9, x9, #1
    b.ne 2b
    CALL
    b 1b
END_GUEST compute_calls

GUEST raise_undefined
    udf #0
END_GUEST raise_undefined
