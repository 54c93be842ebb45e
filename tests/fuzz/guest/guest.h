/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest that makes system calls at random, for the kernel under it to be
 * watched by sanitizers. What it does follows from its seed: each thread and
 * process has dice of its own, thrown by whoever made it. Only their timing is
 * left to chance.
 */
#ifndef TRAPGATE_TESTS_FUZZ_GUEST_H
#define TRAPGATE_TESTS_FUZZ_GUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------------
 * Dice
 */

struct dice {
    uint64_t state;
};

struct dice dice_make(uint64_t seed);
uint64_t dice_throw(struct dice *dice);

static inline uint64_t dice_below(struct dice *dice, uint64_t limit)
{
    return dice_throw(dice) % limit;
}

/* True once in so many times. */
static inline bool dice_once_in(struct dice *dice, uint64_t times)
{
    return dice_below(dice, times) == 0;
}

/* ------------------------------------------------------------------------
 * What all processes of a run share: counters, and budgets that keep a run small
 */

struct control {
    atomic_long calls;
    atomic_long processes, threads, execs; /* made so far */
    atomic_bool stop;                      /* nothing new shall be made */
};

extern struct control *control;

/* Counts one more, unless there were limit already. */
bool control_take(atomic_long *made, long limit);

/* ------------------------------------------------------------------------
 * Arguments
 */

/* Maps the memory that arguments point into; what the kernel has written there is part of the game. */
void arguments_prepare(void);

/*
 * An argument of a kind, as calls.c names them with letters, and what it points
 * to.
 */
uint64_t argument_make(struct dice *dice, char kind);

/* ------------------------------------------------------------------------
 * Calls
 */

/* Makes one call that needs no care. */
void call_at_random(struct dice *dice);

/* Makes processes and threads, ends them, replaces programs, sets handlers and timers: what calls.c leaves out. */
void act_at_random(struct dice *dice);

/* The life of a process or thread: calls and acts, for a while. */
void live(struct dice *dice);

/* For execve of itself: the path and seed go along. */
extern const char *own_path;

#endif
