/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What shall happen at a point in time, the nearest first. */
#ifndef TRAPGATE_KERNEL_TIMER_HEAP_H
#define TRAPGATE_KERNEL_TIMER_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Part of what waits: a task, an interval timer. */
struct timer {
    int64_t deadline;                    /* CLOCK_MONOTONIC nanoseconds */
    size_t slot;                         /* place in the heap plus one; 0: not in it */
    void (*expire)(struct timer *timer); /* called when it is out of the heap again */
};

struct timer_heap {
    struct timer **timers;
    size_t count;
    size_t capacity;
};

/* Adds a timer that is not in a heap. 0 or -ENOMEM. */
int timer_heap_add(struct timer_heap *heap, struct timer *timer, int64_t deadline);

/* Harmless for a timer that is not in it. */
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);

/* The timer with the nearest deadline, or NULL. */
struct timer *timer_heap_first(const struct timer_heap *heap);

void timer_heap_free(struct timer_heap *heap);

#endif
