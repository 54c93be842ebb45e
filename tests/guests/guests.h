/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The guests that the tests run. Written in assembly, one folder for each architecture. */
#ifndef TESTS_GUESTS_GUESTS_H
#define TESTS_GUESTS_GUESTS_H

#include "guest.h"

#define GUEST_DECLARE(name) extern const unsigned char guest_##name[], guest_##name##_end[]

/* The code of a guest: as an initializer, and as a value. */
#define GUEST_INIT(name)                                                                                               \
    {                                                                                                                  \
        guest_##name, guest_##name##_end                                                                               \
    }
#define GUEST_CODE(name) ((struct guest_code)GUEST_INIT(name))

/* Where a label inside a guest ends up when the guest is loaded at GUEST_CODE_AT. */
#define GUEST_PLACE(name, label) (GUEST_CODE_AT + (uint64_t)(guest_##label - guest_##name))

GUEST_DECLARE(call_loop);      /* makes GUEST_CALL for ever */
GUEST_DECLARE(raw_call_loop);  /* the system call instruction for ever, with the registers it was given */
GUEST_DECLARE(counting_calls); /* GUEST_CALL for ever; arg 0 counts from 1 */
GUEST_DECLARE(echo_result);    /* GUEST_CALL for ever; arg 0 is the result of the call before */
GUEST_DECLARE(call_function);  /* calls the function at arg 5 and GUEST_CALL, for ever; arg 0 is what it gave */
GUEST_DECLARE(watch_clock);   /* reads clock arg 0 by the function at arg 5 for ever, and notes in the block at arg 1 */
GUEST_DECLARE(spin);          /* never calls */
GUEST_DECLARE(spin_counting); /* never calls; counts up the word at arg 0 */
GUEST_DECLARE(spin_registers);    /* never calls; two registers that add up to 0 or 1 */
GUEST_DECLARE(read_calls);        /* reads the word at arg 0 into arg 1 and calls, for ever */
GUEST_DECLARE(write_calls);       /* writes arg 1 to the word at arg 0 and calls, for ever */
GUEST_DECLARE(read_then_write);   /* reads, then writes the word at arg 0, then calls */
GUEST_DECLARE(jump);              /* jumps to arg 0 */
GUEST_DECLARE(jump_by_return);    /* pushes arg 0 and returns to it */
GUEST_DECLARE(invert_then_call);  /* inverts every general register and calls, for ever */
GUEST_DECLARE(invert_then_fault); /* inverts every general register and writes to address 0, for ever */
GUEST_DECLARE(steps);             /* a few instructions, a call, a few instructions, a call */
GUEST_DECLARE(wait_for_word);     /* waits until the word at arg 0 is not zero, then calls */
GUEST_DECLARE(compute_calls);     /* computes for arg 0 rounds, then calls, for ever */

extern const unsigned char guest_invert_then_fault_at[];
extern const unsigned char guest_steps_call[], guest_steps_after_call[];

#endif
