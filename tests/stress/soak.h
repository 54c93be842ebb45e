/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Contexts whose every register is known at every event: the guest fills them
 * from a seed and compares them after each call, the embedder compares what it
 * sees and answers with the next seed. A context that meets the state of
 * another, or loses some of its own, is found out by one of the two.
 */
#ifndef TESTS_STRESS_SOAK_H
#define TESTS_STRESS_SOAK_H

#include "guest.h"

struct soaker {
    tg_context *context;
    uint64_t seed;
    uint64_t turns;
};

/* Computes for up to a thousand steps between calls; the slow one for up to 65 thousand. */
struct guest_code soak_code(void);
struct guest_code soak_slow_code(void);

void soaker_open(struct soaker *soaker, tg_platform *platform, uint64_t seed);
/* After a context was thrown out of its subprocess in the middle of a turn. */
void soaker_restart(struct soaker *soaker);
void soaker_close(struct soaker *soaker);

/* Checks the call that ends a turn and answers it. */
void soaker_answer(struct soaker *soaker, const tg_event *event);
/* Runs one whole turn with nobody interfering. */
void soaker_turn(struct soaker *soaker, tg_subprocess *subprocess);

/* A sequence of numbers that looks random and is the same every time. */
uint64_t next_number(uint64_t *state);

#endif
