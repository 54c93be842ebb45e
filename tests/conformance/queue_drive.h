/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How cases drive a queue: event by event, with many contexts at once, and from a thread of its own. */
#ifndef TESTS_CONFORMANCE_QUEUE_DRIVE_H
#define TESTS_CONFORMANCE_QUEUE_DRIVE_H

#include <stdatomic.h>

#include "guest.h"

#define FOREVER       (-1)
#define CAPACITY      64
/* A second code area, for cases that need two kinds of guests in one subprocess. */
#define OTHER_CODE_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)

tg_queue *create_queue(tg_platform *platform);
size_t wait_events(tg_queue *queue, tg_event *events, size_t capacity, int64_t timeout_ns);
tg_event wait_one(tg_queue *queue);
/* A started context whose user data says which one it is. */
tg_context *create_counter(tg_platform *platform, uint64_t index);

/* Each context's events carry its own data and count, in its own order. */
void drive_many(struct guest *guest, tg_queue *queue, unsigned int contexts, unsigned int rounds);

/* A thread that waits, and what it got. */
struct waiter {
    tg_queue *queue;
    const struct guest *guest; /* whose context it submits, if it does */
    atomic_int started;
    size_t count;
    tg_event event;
};

/* A context is started where it is submitted if that thread waited last, so submit and wait go together. */
void *submit_and_take(void *waiter);

#endif
