/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The subprocesses in which contexts of a queue run. */
#ifndef CORE_SYSTRAP_SEATS_H
#define CORE_SYSTRAP_SEATS_H

#include "core/subprocess_life.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_queue_types.h"

/*
 * The seat of a context that is about to run; the context counts as running
 * there. It keeps its seat for the next time. The seat of a dead subprocess may
 * have been taken out of the queue's list: nothing runs there. NULL: no memory.
 */
struct queue_seat *systrap_seat_take(struct systrap_queue *queue, struct systrap_context *context,
                                     struct systrap_subprocess *subprocess);
/* Called by the collecting thread, lock is held: removes seats that nobody uses, of dead subprocesses or of all. */
void systrap_seats_remove(struct systrap_queue *queue, bool all);
/* Called by the collecting thread: kills subprocesses in which a context is stuck for good. */
void systrap_seats_watch(struct systrap_queue *queue, int64_t now);

/*
 * Does a context run there whose event nobody has found yet? For the collecting thread. running is read first, because
 * who fetches an event counts down ready_count before running. Who submits a context after that wakes this thread.
 */
static inline bool systrap_seat_runs(const struct queue_seat *seat)
{
    const uint32_t running = atomic_load(&seat->running);

    return running > atomic_load_explicit(&seat->ready_count, memory_order_relaxed);
}

/* Does one run in any seat? For the collecting thread. */
static inline bool systrap_seats_any_running(const struct systrap_queue *queue)
{
    for (const struct queue_seat *seat = queue->seats; seat; seat = seat->next) {
        if (systrap_seat_runs(seat))
            return true;
    }
    return false;
}

static inline bool systrap_seat_has_events(const struct queue_seat *seat)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    const struct systrap_control *control = control_of(subprocess);
    uint32_t small = atomic_load_explicit(&subprocess->done_head[0], memory_order_relaxed) % RING_SMALL;
    uint32_t large = atomic_load_explicit(&subprocess->done_head[1], memory_order_relaxed) % RING_LARGE;

    return SHARED_LOOK(control->done_small[small]) || SHARED_LOOK(control->done_large[large]) ||
           subprocess_is_dead(&subprocess->base);
}

/* Called before the context loses its slot: gives its seat up. */
void systrap_queue_leave_seat(struct systrap_context *context);

#endif
