/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The only context that a queue runs in its subprocess, as most programs have
 * one thread. The collecting thread looks for its event where that appears, in
 * its slot, as a switch does: that moves half the cache lines of a ring. Before
 * it sleeps it has the worker put the slot's number into the ring after all.
 *
 * systrap_queue.lone: set by whoever submits the context, reset by whoever hands
 * out its event. That is the collecting thread, so it may follow the pointer.
 * Where a service collects, others hand out: then nobody is lone for long, and
 * the service follows the pointer under the queue's lock alone.
 */
#ifndef CORE_SYSTRAP_LONE_CONTEXT_H
#define CORE_SYSTRAP_LONE_CONTEXT_H

#include "core/queue_outlet.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_queue_types.h"

/* The context has its seat and is about to start. Of two that are submitted at once one is lone. */
static inline bool lone_context_begin(struct systrap_queue *queue, struct systrap_context *context)
{
    struct systrap_context *none = NULL;

    return systrap_platform(queue->base.platform)->spin_ns && !queue_has_fd(&queue->base) &&
           atomic_load(&context->seat->running) == 1 && atomic_compare_exchange_strong(&queue->lone, &none, context);
}

/* It leaves the queue. */
static inline void lone_context_end(struct systrap_queue *queue, const struct systrap_context *context)
{
    if (atomic_load_explicit(&queue->lone, memory_order_relaxed) == context)
        atomic_store_explicit(&queue->lone, NULL, memory_order_release);
}

/* By the collecting thread. NULL: it has left nothing, or is not in flight yet, and its slot shows the event before. */
static inline struct systrap_context *lone_context_with_event(const struct systrap_queue *queue)
{
    struct systrap_context *context = atomic_load(&queue->lone);

    if (!context || atomic_load(&context->flight) != IN_FLIGHT)
        return NULL;
    return state_ends_wait(SHARED_LOOK(context->slot->state)) ? context : NULL;
}

/*
 * By the collecting thread, which says that it sleeps and then looks once more.
 * Pairs with wake_waiter() of the worker. Who submits a context that this does
 * not see, or starts it only now, sees that the queue sleeps.
 */
void lone_context_sleep(struct systrap_queue *queue);

static inline void lone_context_wake(struct systrap_queue *queue)
{
    struct systrap_context *context = queue->served ? NULL : atomic_load(&queue->lone);

    if (context)
        SHARED_STORE(context->slot->waiting, WAITS_LOOKING);
}

/*
 * By whoever has started it, and has not let others claim it yet. True: the
 * start came after a service had given it up, and may have undone what that has
 * said to the worker; this says it again, and the caller looks for the event.
 */
static inline bool lone_context_was_given_up(const struct systrap_queue *queue, const struct systrap_context *context)
{
    if (atomic_load(&queue->lone) == context)
        return false;
    SHARED_SWAP(context->slot->waiting, WAITS_ON_RING);
    return true;
}

/* By a service: the context is one of many from now on, though it may have left its event already. */
void lone_context_give_up(struct systrap_queue *queue);

#endif
