/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The subprocesses in which contexts of a queue run. */
#ifndef CORE_SYSTRAP_SEATS_H
#define CORE_SYSTRAP_SEATS_H

#include "core/subprocess_life.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_queue_types.h"

/*
 * The seat of a context that is about to run, which counts as running. A
 * context keeps its seat for the next time. One of a dead subprocess may be in
 * no list any more: nothing runs there. NULL: no memory.
 */
struct queue_seat *systrap_seat_take(struct systrap_queue *queue, struct systrap_context *context,
                                     struct systrap_subprocess *subprocess);
/* By the collecting thread; lock is held. Those that nobody uses, of the dead or of all. */
void systrap_seats_remove(struct systrap_queue *queue, bool all);
/* By the collecting thread: ends subprocesses in which a context is stuck for good. */
void systrap_seats_watch(struct systrap_queue *queue, int64_t now);

/*
 * For the collecting thread, to which such as nobody has found the event of are of interest. running is read first: who
 * fetches an event takes it from ready_count before. One that is submitted after that is told of by its submitter.
 */
static inline bool systrap_seat_runs(const struct queue_seat *seat)
{
    const uint32_t running = atomic_load(&seat->running);

    return running > atomic_load_explicit(&seat->ready_count, memory_order_relaxed);
}

/* For the collecting thread. */
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

/* Before the context loses its slot. */
void systrap_queue_leave_seat(struct systrap_context *context);

#endif
