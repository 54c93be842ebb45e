/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * handoff.h - a bare stub process that hands control over through shared
 * memory, and the loop that serves it: what the systrap backend is made of.
 */
#ifndef TRAPGATE_BENCH_HANDOFF_H
#define TRAPGATE_BENCH_HANDOFF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../arch/bare_trap.h"

enum turn {
    TURN_STUB,
    TURN_EMBEDDER,
};

enum waiting {
    WAIT_SPINNING,
    WAIT_SLEEPING, /* futex */
};

/* What fits into a cache line beside the state word: the number of a call and its arguments. */
#define SHORT_CALL_WORDS 7

/* What short calls take along besides, in a line of its own. */
enum carried {
    CARRIED_NOTHING,
    CARRIED_OUT, /* bytes with the call */
    CARRIED_IN,  /* bytes with the answer */
};

#define CARRIED_WORDS 8

/* Shared by both processes. */
struct handoff {
    _Alignas(64) _Atomic uint32_t turn;
    uint64_t short_call[SHORT_CALL_WORDS];
    _Alignas(64) uint64_t registers[BARE_REGISTER_COUNT];
    _Alignas(64) enum waiting waiting; /* never written again */
    pid_t stub;
    _Atomic enum carried carried; /* changes between two rounds */
    _Alignas(256) uint64_t bytes[CARRIED_WORDS];
    _Alignas(256) char end[1];
};

/* What runs in the stub process; never returns. */
typedef void stub_function(struct handoff *handoff);

/* The calling process becomes the embedder. A processor of CPU_ANY leaves the side as it is. */
struct handoff *handoff_start(stub_function *stub, enum waiting waiting, int embedder_cpu, int stub_cpu);
void handoff_end(struct handoff *handoff);

/* One event: waits for the stub, answers a system call, lets the stub go on. `state` is a struct handoff. */
void handoff_serve(void *state);
void handoff_serve_short(void *state);

/* The stub's side: gives the turn away and waits until it is back. */
void handoff_yield(struct handoff *handoff);

/* Writes all registers and yields, over and over; for handoff_serve(). */
stub_function stub_of_calls;

/* The same with nothing but the call, in the line of the state word; for handoff_serve_short(). */
stub_function stub_of_short_calls;

/* One round of a loop that waits for a stub; now and then looks whether that one still lives, or ends the sample. */
void handoff_pause(pid_t stub, uint32_t round);

/* Two processors that differ, or the sample is skipped: both sides of a handoff spin. */
void handoff_two_cpus(int *first, int *second);

#endif
