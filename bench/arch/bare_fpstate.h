/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* bare_fpstate.h - the FP state of the running thread, by the cheapest instructions; arch/<cpu>/bare_fpstate.c. */
#ifndef TRAPGATE_BENCH_BARE_FPSTATE_H
#define TRAPGATE_BENCH_BARE_FPSTATE_H

#include <stdbool.h>

#define BARE_FPSTATE_SIZE 3584

/* At first all zero: a state that was never saved. */
struct bare_fpstate {
    _Alignas(64) char bytes[BARE_FPSTATE_SIZE];
};

/* Whether the processor has the instructions and its state fits. */
bool bare_fpstate_usable(void);

void bare_fpstate_save(struct bare_fpstate *to);

/* Does nothing for a state that was never saved, and for one in which nothing is set. */
void bare_fpstate_restore(const struct bare_fpstate *from);

#endif
