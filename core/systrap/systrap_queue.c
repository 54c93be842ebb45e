/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue's life, what is submitted to it, and what the service does for its descriptor. */
#include <errno.h>
#include <unistd.h>

#include "core/systrap/death.h"
#include "core/systrap/events.h"
#include "core/systrap/lone_context.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/queue_rouse.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/slots.h"
#include "core/systrap/systrap_queue.h"
#include "core/systrap/systrap_queue_wait.h"
#include "core/systrap/systrap_run.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/workers.h"

/* ---- submitting ---- */

int systrap_queue_submit(struct tg_queue *base, struct tg_context *base_context, struct tg_subprocess *subprocess)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    struct systrap_context *context = to_systrap_context(base_context);
    int err = platform_may_be_ours(base->platform) ? slot_bind(context, to_systrap_subprocess(subprocess))
                                                   : platform_refuse_fork(base->platform, "submit");
    struct queue_seat *seat = err ? NULL : systrap_seat_take(queue, context, to_systrap_subprocess(subprocess));
    struct sink nowhere = {.left = 0};
    bool lone;

    if (!seat) {
        subprocess_leave(subprocess);
        return err ? err : platform_fail(base->platform, -ENOMEM, "submit: no memory");
    }
    atomic_store_explicit(&context->queue, queue, memory_order_relaxed);
    lone = lone_context_begin(queue, context);
    err = systrap_start(context, to_systrap_subprocess(subprocess), lone ? START_FOR_LONE : START_FOR_QUEUE,
                        &context->event);
    if (err)
        subprocess_leave(subprocess);
    if (err == 1) {
        systrap_queue_make_ready(context);
        return 0;
    }
    if (err < 0) {
        lone_context_end(queue, context);
        atomic_store_explicit(&context->queue, NULL, memory_order_relaxed);
        atomic_fetch_sub(&seat->running, 1);
        return err;
    }
    /*
     * The thread that sleeps for the queue does not know of this context yet, and must look again. Woken before others
     * can take the event, for then they can destroy the queue. Pairs with sleep_until().
     */
    if (atomic_load(&queue->sleeping))
        systrap_queue_rouse(base);
    if (systrap_queue_take_off(context, lone && lone_context_was_given_up(queue, context)))
        systrap_queue_deliver(context, NULL, &nowhere);
    return 0;
}

/* ---- the service ---- */

void systrap_queue_serve(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    queue->served = true;
    while (!atomic_load(&base->stopping)) {
        struct sink sink = {.left = SIZE_MAX};

        systrap_queue_wait_once(queue, &sink, INT64_MAX);
    }
}

/* ---- life ---- */

int systrap_queue_create(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->ready);
    queue->id = atomic_fetch_add(&systrap_platform(base->platform)->next_id, 1);
    return 0;
}

/* The subprocess's lock is held. Makes the queue's contexts that run there leave guest code. */
static void kick_running(const struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        struct systrap_context *context = subprocess->slot_contexts[i];

        if (context && context->queue == queue && atomic_load(&context->flight)) {
            SHARED_SWAP(slot_of(subprocess, i)->kick, 1);
            worker_kick(subprocess, SHARED_LOAD(slot_of(subprocess, i)->worker) % SYSTRAP_WORKERS_MAX);
        }
    }
}

static void discard(struct systrap_context *context)
{
    struct tg_event event;

    if (!systrap_queue_is_down(context))
        return;
    if (!systrap_left_something(context))
        systrap_lost(context, &event);
    else if (systrap_collect(context, &event))
        context_take_back(&context->base, &event);
    subprocess_leave(&context->seat->subprocess->base);
    systrap_queue_finish(context);
}

/* Scans: discards what the queue's contexts have left, delivers what those of other queues have. How many in all. */
static size_t discard_found(struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    struct systrap_context *contexts[DRAIN_MAX];
    size_t n = systrap_queue_scan(subprocess, contexts, DRAIN_MAX);

    for (size_t i = 0; i < n; i++) {
        struct sink nowhere = {.left = 0};

        if (contexts[i]->queue == queue)
            discard(contexts[i]);
        else
            systrap_queue_deliver(contexts[i], queue, &nowhere);
    }
    return n;
}

/* Discards events that are ready, also those that another queue's waiter has put there. How many. */
static size_t discard_ready(struct systrap_queue *queue)
{
    struct systrap_context *context;
    size_t n = 0;

    pthread_mutex_lock(&queue->lock);
    for (; (context = systrap_queue_pop_ready(queue)) != NULL; n++) {
        context_take_back(&context->base, &context->event);
        systrap_queue_finish(context);
    }
    pthread_mutex_unlock(&queue->lock);
    return n;
}

/* Goes on until no context of the queue runs there, and none is in the hands of another thread that delivers it. */
static void stop_seat(struct systrap_queue *queue, struct queue_seat *seat)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    struct watchdog_wait wait = {.look_at = 0};

    while (atomic_load(&seat->running)) {
        size_t n;

        pthread_mutex_lock(&subprocess->lock);
        kick_running(queue, subprocess);
        pthread_mutex_unlock(&subprocess->lock);
        n = discard_found(queue, subprocess) + discard_ready(queue);
        if (watchdog_waits_in_vain(subprocess, &wait, WATCHDOG_TEARDOWN))
            systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        if (n == 0) {
            /* Contexts of the queue may wait in the run ring for workers that run others. */
            systrap_make_way(subprocess);
            usleep(20);
        }
    }
}

void systrap_queue_destroy(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    discard_ready(queue);
    for (struct queue_seat *seat = queue->seats; seat; seat = seat->next)
        stop_seat(queue, seat);
    systrap_seats_remove(queue, true);
    pthread_mutex_destroy(&queue->lock);
}
