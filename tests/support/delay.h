/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Delays a thread behind any one of its instructions: where two threads race
 * for a few of them, a test that goes through all needs no luck. The thread
 * steps itself, and what it calls meanwhile must not block SIGTRAP.
 */
#ifndef TESTS_SUPPORT_DELAY_H
#define TESTS_SUPPORT_DELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct delay {
    uint64_t after; /* so many instructions; more than there are: they are counted, and that is all */
    uint64_t steps; /* that were made until then */
    atomic_int stage;
};

/* Once, before the first. Skips the case where threads cannot be stepped. */
void delay_prepare(void);

/* The calling thread is delayed between these two, once. */
void delay_begin(struct delay *delay);
void delay_end(struct delay *delay);

/* Another thread: until the first is held, which is true, or has come to its end. */
bool delay_is_held(struct delay *delay);
/* It may go on. It does so by itself after some milliseconds, for it may have what the other waits for. */
void delay_over(struct delay *delay);

#endif
