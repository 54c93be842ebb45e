/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue's life, what is submitted to it, and the thread that collects for its descriptor. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/quiet_thread.h"
#include "core/systrap/death.h"
#include "core/systrap/events.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/queue_outlet.h"
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

    if (!seat) {
        subprocess_leave(subprocess);
        return err ? err : platform_fail(base->platform, -ENOMEM, "submit: no memory");
    }
    atomic_store_explicit(&context->queue, queue, memory_order_relaxed);
    err = systrap_start(context, to_systrap_subprocess(subprocess), true, &context->event);
    if (err)
        subprocess_leave(subprocess);
    if (err == 1) {
        systrap_queue_make_ready(context);
        return 0;
    }
    if (err < 0) {
        atomic_store_explicit(&context->queue, NULL, memory_order_relaxed);
        atomic_fetch_sub(&seat->running, 1);
        return err;
    }
    /*
     * A sleeper must look after what it did not know of. Once the event can be taken, the queue can be destroyed. Pairs
     * with sleep_until().
     */
    if (atomic_load(&queue->sleeping))
        systrap_queue_rouse(queue);
    if (systrap_queue_take_off(context))
        systrap_queue_deliver(context, NULL, &nowhere);
    return 0;
}

/* ---- the descriptor ---- */

static void *service_main(void *arg)
{
    struct systrap_queue *queue = arg;

    while (!atomic_load(&queue->stopping)) {
        struct sink sink = {.left = SIZE_MAX};

        systrap_queue_wait_once(queue, &sink, INT64_MAX);
    }
    return NULL;
}

/*
 * The number is nobody's to use before there is a thread that rings it: one that
 * could not be made leaves nothing behind, and a wake beside this writes to no
 * descriptor that has the number next.
 */
static int start_service(struct systrap_queue *queue)
{
    int fd = descriptor_eventfd(EFD_NONBLOCK);
    int err;

    if (fd < 0)
        return fd;
    queue->served = true;
    err = quiet_thread_create(&queue->service, service_main, queue);
    if (err) {
        queue->served = false;
        close(fd);
        return err;
    }
    atomic_store(&queue->fd, fd);
    /* Who came before has looked for it in vain. Pairs with systrap_queue_ring_fd(). */
    if (atomic_load(&queue->ready_count) || atomic_load(&queue->woken))
        systrap_queue_ring_fd(queue);
    return 0;
}

int systrap_queue_fd(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    int err = 0;

    if (atomic_load(&queue->fd) >= 0)
        return atomic_load(&queue->fd);
    if (!platform_is_ours(base->platform))
        return platform_refuse_fork(base->platform, "queue descriptor");
    if (!systrap_queue_enter_wait(queue))
        return platform_fail(base->platform, -EBUSY, "queue descriptor: a thread waits on this queue");
    /* Another thread may have been here meanwhile. */
    if (atomic_load(&queue->fd) < 0)
        err = start_service(queue);
    systrap_queue_leave_wait(queue);
    return err ? queue_fd_failed(base->platform, err) : atomic_load(&queue->fd);
}

/* ---- life ---- */

int systrap_queue_create(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->ready);
    queue->id = atomic_fetch_add(&systrap_platform(base->platform)->next_id, 1);
    atomic_store(&queue->fd, -1);
    return 0;
}

/* lock of the subprocess is held. Makes those of the queue leave the guest. */
static void kick_running(const struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        struct systrap_context *context = subprocess->owners[i];

        if (context && context->queue == queue && atomic_load(&context->flight)) {
            SHARED_SWAP(slot_of(subprocess, i)->kick, 1);
            worker_kick(subprocess, SHARED_LOAD(slot_of(subprocess, i)->worker) % SYSTRAP_WORKERS_MAX);
        }
    }
}

static void set_aside(struct systrap_context *context)
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

/* Those of the queue are set aside, others' events go where they belong. How many there were. */
static size_t sweep_aside(struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    struct systrap_context *contexts[DRAIN_MAX];
    size_t n = systrap_queue_sweep(subprocess, contexts, DRAIN_MAX);

    for (size_t i = 0; i < n; i++) {
        struct sink nowhere = {.left = 0};

        if (contexts[i]->queue == queue)
            set_aside(contexts[i]);
        else
            systrap_queue_deliver(contexts[i], queue, &nowhere);
    }
    return n;
}

/* Events that were waiting already, or that another queue's waiter has found. How many. */
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

/* Until no context of the queue runs there, nor is in the hands of another thread on its way back to the queue. */
static void stop_seat(struct systrap_queue *queue, struct queue_seat *seat)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    struct watchdog_wait wait = {.look_at = 0};

    while (atomic_load(&seat->running)) {
        size_t n;

        pthread_mutex_lock(&subprocess->lock);
        kick_running(queue, subprocess);
        pthread_mutex_unlock(&subprocess->lock);
        n = sweep_aside(queue, subprocess) + discard_ready(queue);
        if (watchdog_waits_in_vain(subprocess, &wait, WATCHDOG_TEARDOWN))
            systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        if (n == 0) {
            /* They may have to wait until those who run let them. */
            systrap_make_way(subprocess);
            usleep(20);
        }
    }
}

void systrap_queue_forget(struct tg_queue *base)
{
    int fd = atomic_exchange(&to_systrap_queue(base)->fd, -1);

    if (fd >= 0)
        close(fd);
}

void systrap_queue_destroy(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    int fd = atomic_load(&queue->fd);

    if (fd >= 0) {
        atomic_store(&queue->stopping, true);
        systrap_queue_rouse(queue);
        pthread_join(queue->service, NULL);
    }
    discard_ready(queue);
    for (struct queue_seat *seat = queue->seats; seat; seat = seat->next)
        stop_seat(queue, seat);
    systrap_seats_remove(queue, true);
    /* Until here others may have rung it: whoever destroys a subprocess, for contexts that ran there. */
    if (fd >= 0)
        close(fd);
    pthread_mutex_destroy(&queue->lock);
}
