/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TRAPGATE_GO_LOOPS_H
#define TRAPGATE_GO_LOOPS_H

#include <stdint.h>

#define MOST_CONTEXTS 256

struct loops;

/* A platform of its own with a guest that makes calls for ever. NULL when something fails. */
struct loops *loops_open(uint32_t backend, uint32_t contexts);
void loops_close(struct loops *loops);
/* What went wrong. */
const char *loops_error(const struct loops *loops);

/* So many switches; the time they took in ns, or -1. */
double loops_switch(struct loops *loops, uint64_t count);
/* So many calls of the contexts in all, each switched by a thread of its own; the time they took in ns, or -1. */
double loops_threads(struct loops *loops, uint64_t count);
/* So many calls of the contexts through a queue; the time they took in ns, or -1. */
double loops_queue(struct loops *loops, uint64_t count);

#endif
