/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Queues: many contexts for one waiting thread. Workers push the numbers of
 * slots with events into their subprocess's done ring; the waiter looks at the
 * rings of the subprocesses in which contexts of its queue run, its seats.
 *
 * For the files that make up the queue; what others call is in systrap_backend.h.
 */
#ifndef CORE_SYSTRAP_QUEUE_H
#define CORE_SYSTRAP_QUEUE_H

#include "core/systrap/systrap_backend.h"

#define DRAIN_MAX 64 /* events that are taken from a subprocess at once */

/* Where events go: to the caller's array, or to the ready list. */
struct sink {
    char *next; /* NULL: the ready list */
    size_t stride;
    size_t left;
    size_t count;
};

/* ---- seats.c ---- */

/*
 * The seat of a context that is about to run, which counts as running. A
 * context keeps its seat for the next time. One of a dead subprocess may be in
 * no list any more: nothing runs there. NULL: no memory.
 */
struct seat *systrap_seat_take(struct systrap_queue *queue, struct systrap_context *context,
                               struct systrap_subprocess *subprocess);
/* By the collecting thread; lock is held. Those that nobody uses, of the dead or of all. */
void systrap_seats_remove(struct systrap_queue *queue, bool all);
/* By the collecting thread: ends subprocesses in which a context is stuck for good. */
void systrap_seats_watch(struct systrap_queue *queue, int64_t now);

/* For the collecting thread. */
static inline bool systrap_seats_any_running(const struct systrap_queue *queue)
{
    for (const struct seat *seat = queue->seats; seat; seat = seat->next) {
        if (atomic_load(&seat->running))
            return true;
    }
    return false;
}

static inline bool systrap_seat_has_events(const struct seat *seat)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    const struct systrap_control *control = control_of(subprocess);
    uint32_t small = atomic_load_explicit(&subprocess->done_head[0], memory_order_relaxed) % RING_SMALL;
    uint32_t large = atomic_load_explicit(&subprocess->done_head[1], memory_order_relaxed) % RING_LARGE;

    return SHARED_LOAD(control->done_small[small]) || SHARED_LOAD(control->done_large[large]) ||
           systrap_is_dead(subprocess);
}

/* ---- queue_events.c ---- */

/* The context is the embedder's again. */
void systrap_queue_finish(struct systrap_context *context);
/* The event is written in the context. */
void systrap_queue_make_ready(struct systrap_context *context);
/* lock is held. One whose event is written, of each seat in turn; NULL: there is none. */
struct systrap_context *systrap_queue_pop_ready(struct systrap_queue *queue);
/* No more than max. */
void systrap_queue_take_ready(struct systrap_queue *queue, size_t max, struct sink *sink);
/*
 * The context was STARTING and runs now: others may claim it, and the caller
 * must not touch it any more. True: its subprocess has died, or it has left
 * something already that somebody could not claim yet; it is the caller's to
 * deliver.
 */
bool systrap_queue_take_off(struct systrap_context *context);
/*
 * Of a context that the caller has claimed. False: it was started after the
 * caller looked, and is in flight again.
 */
bool systrap_queue_is_down(struct systrap_context *context);
/* A context that the caller has claimed: its event goes where its queue's events go. */
void systrap_queue_deliver(struct systrap_context *context, struct systrap_queue *queue, struct sink *sink);
/*
 * Claims what is in flight in a dead subprocess, and what has left an event
 * that a spoilt ring does not name. How many.
 */
size_t systrap_queue_sweep(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max);
/*
 * By the collecting thread: what rings name, and what is ready. Each seat has a
 * share of the room, and what others leave of theirs; where there is not room
 * for all, the next collection goes on from there.
 */
void systrap_queue_collect(struct systrap_queue *queue, struct sink *sink);
/* The same for what no ring names, which becomes ready. */
void systrap_queue_collect_unnamed(struct systrap_queue *queue);

/* ---- queue_wait.c ---- */

/* Whoever sleeps for the queue looks again. */
void systrap_queue_rouse(struct systrap_queue *queue);
/* The descriptor, if there is one, becomes readable. After what is to be seen was stored: start_service(). */
void systrap_queue_ring_fd(const struct systrap_queue *queue);
/* One round: spin, sleep, collect. False: the time is over. */
bool systrap_queue_wait_once(struct systrap_queue *queue, struct sink *sink, int64_t until);

/* ---- upkeep.c: by the collecting thread; what must be seen to whatever it finds ---- */

/* Contexts find workers, and give way to others. Until when a sleep may last. */
int64_t systrap_queue_find_workers(struct systrap_queue *queue, int64_t until_ns);
/* What is due. */
void systrap_queue_upkeep(struct systrap_queue *queue, int64_t now);
/* The same for a wait that has found something, and reads no clock for that alone each time. */
void systrap_queue_upkeep_at_times(struct systrap_queue *queue);

/* One thread waits at a time. */
static inline bool systrap_queue_enter_wait(struct systrap_queue *queue)
{
    return !atomic_exchange(&queue->waiting, true);
}

static inline void systrap_queue_leave_wait(struct systrap_queue *queue)
{
    atomic_store_explicit(&queue->waiting, false, memory_order_release);
}

#endif
