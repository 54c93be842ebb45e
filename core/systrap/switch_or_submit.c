/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/switch_or_submit.h"
#include "core/subprocess_life.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/queue_rouse.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_run.h"

/* The caller keeps the context after all. */
static void take_back(struct systrap_context *context)
{
    SHARED_STORE(context->slot->waiting, WAITS_LOOKING);
    atomic_store_explicit(&context->queue, NULL, memory_order_relaxed);
    atomic_fetch_sub(&context->seat->running, 1);
    /* Before the door is left: whoever destroys the subprocess waits for one or the other. */
    atomic_store(&context->base.state, CONTEXT_SWITCHING);
    subprocess_leave(&context->bound->base);
}

/*
 * The context runs, and from here on as one that was submitted: its worker says
 * in the done ring what it has left. True: it is the queue's, and the caller
 * must not touch it any more. False: it has left something meanwhile, its
 * subprocess dies, or there is no memory, and it stays the caller's.
 */
static bool leave_to_queue(struct systrap_context *context, struct systrap_queue *queue)
{
    struct systrap_subprocess *subprocess = context->bound;

    if (!subprocess_enter(&subprocess->base))
        return false;
    if (!systrap_seat_take(queue, context, subprocess)) {
        subprocess_leave(&subprocess->base);
        return false;
    }
    atomic_store(&context->base.state, CONTEXT_RUNNING);
    atomic_store_explicit(&context->queue, queue, memory_order_relaxed);
    atomic_store_explicit(&context->flight, STARTING, memory_order_release);
    /* Then the look of systrap_queue_take_off(). Pairs with wake_waiter() of the worker. */
    SHARED_SWAP(context->slot->waiting, WAITS_ON_RING);
    /* As systrap_queue_submit(). Pairs with sleep_until(). */
    if (atomic_load(&queue->sleeping))
        systrap_queue_rouse(&queue->base);
    if (!systrap_queue_take_off(context, true))
        return true;
    take_back(context);
    return false;
}

int systrap_context_switch_or_submit(struct tg_context *base, struct tg_subprocess *subprocess, struct tg_queue *queue,
                                     int64_t spin_ns, struct tg_event *event)
{
    struct systrap_context *context = to_systrap_context(base);
    int err = systrap_switch_begin(context, to_systrap_subprocess(subprocess), event);

    if (err)
        return err < 0 ? err : 0;
    do {
        if (!(spin_ns && systrap_spin(context, spin_ns))) {
            if (leave_to_queue(context, to_systrap_queue(queue)))
                return 1;
            systrap_sleep_until_arrived(context);
        }
    } while (!systrap_switch_end(context, event));
    return 0;
}
