/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/lone_context.h"
#include "core/systrap/queue_events.h"

/*
 * Whoever has started it and not let others claim it yet finds the note, and
 * looks for its event: with the lock, so that the look of this thread comes
 * after that, or that look after what was said here. Pairs with keep().
 */
static void leave_note(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;
    uint32_t flight = STARTING;

    pthread_mutex_lock(&subprocess->lock);
    atomic_compare_exchange_strong(&context->flight, &flight, ASKED_FOR);
    pthread_mutex_unlock(&subprocess->lock);
}

void lone_context_sleep(struct systrap_queue *queue)
{
    struct systrap_context *context = queue->served ? NULL : atomic_load(&queue->lone);

    if (!context)
        return;
    SHARED_SWAP(context->slot->waiting, WAITS_ON_RING);
    if (atomic_load(&context->flight) != IN_FLIGHT)
        leave_note(context);
}

void lone_context_give_up(struct systrap_queue *queue)
{
    struct systrap_context *context;

    pthread_mutex_lock(&queue->lock);
    context = atomic_load(&queue->lone);
    if (context) {
        /* Pairs with wake_waiter() of the worker. The next start takes it back. */
        SHARED_SWAP(context->slot->waiting, WAITS_ON_RING);
        atomic_store(&queue->lone, NULL);
    }
    pthread_mutex_unlock(&queue->lock);
    systrap_queue_collect_unnamed(queue);
}
