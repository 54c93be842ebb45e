/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Queues: their life, and contexts on their way through them. */
#include <errno.h>
#include <stddef.h>

#include "guest.h"
#include "model.h"

#define EVENTS  4
#define SPIN_NS 50000

/* On ptrace it is the thread that waits which must come back, so most use queues of their own. */
static struct queue *any(struct thread *thread, struct platform *platform)
{
    return &platform->queues[random_below(thread, 4) ? thread->index % QUEUES : random_below(thread, QUEUES)];
}

static void create(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);
    tg_queue *made = NULL;

    if (!handle_reserve(&queue->handle))
        return;
    RESULT(thread, platform, tg_queue_create(platform->handle.object, &made), -ENOMEM);
    handle_made(&queue->handle, made);
}

/* What was in it comes back to where it can be used. */
static void destroy(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);

    if (!handle_end(&queue->handle))
        return;
    CALL_VOID(thread, tg_queue_destroy(queue->handle.object));
    for (int i = 0; i < CONTEXTS; i++)
        atomic_store(&queue->inside[i], 0);
    handle_gone(&queue->handle);
}

/* As a switch, or as a submit: what comes out of the queue has been counted in before. */
static void switch_or_submit_to(struct thread *thread, struct platform *platform, struct queue *queue,
                                struct context *context)
{
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    atomic_int *inside = &queue->inside[context - platform->contexts];
    tg_event event = {.size = sizeof(event)};
    int result;

    if (!handle_use(&subprocess->handle, TAKE))
        return;
    atomic_fetch_add(inside, 1);
    result = RESULT(thread, platform,
                    tg_context_switch_or_submit(context->handle.object, subprocess->handle.object, queue->handle.object,
                                                random_below(thread, SPIN_NS), &event),
                    1, -EINVAL, -EBUSY, -ENOMEM, -EAGAIN);
    if (result != 1)
        atomic_fetch_sub(inside, 1);
    if (!result && (event.kind < TG_EVENT_SYSCALL || event.kind > TG_EVENT_DEAD))
        wrong("tg_context_switch_or_submit: an event of kind %u", event.kind);
    if (!result || result == 1)
        atomic_store(&context->next, 0);
    handle_leave(&subprocess->handle, TAKE);
}

static void submit_to(struct thread *thread, struct platform *platform, struct queue *queue, struct context *context)
{
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    atomic_int *inside = &queue->inside[context - platform->contexts];
    int result;

    if (!handle_use(&subprocess->handle, TAKE))
        return;
    atomic_fetch_add(inside, 1);
    result = RESULT(thread, platform,
                    tg_queue_submit(queue->handle.object, context->handle.object, subprocess->handle.object), -EINVAL,
                    -EBUSY, -ENOMEM, -EAGAIN, -ESRCH);
    /* From now on it makes calls that a waiter knows of before it can say so here: take_event(). */
    if (result)
        atomic_fetch_sub(inside, 1);
    else
        atomic_store(&context->next, 0);
    handle_leave(&subprocess->handle, TAKE);
}

static void submit(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);
    struct context *context = &platform->contexts[random_below(thread, CONTEXTS)];

    if (!handle_use(&queue->handle, TAKE))
        return;
    if (handle_use(&context->handle, TAKE)) {
        if (random_below(thread, 2))
            submit_to(thread, platform, queue, context);
        else
            switch_or_submit_to(thread, platform, queue, context);
        handle_leave(&context->handle, TAKE);
    }
    handle_leave(&queue->handle, TAKE);
}

static void take_event(struct platform *platform, struct queue *queue, const tg_event *event)
{
    if (event->kind < TG_EVENT_SYSCALL || event->kind > TG_EVENT_DEAD)
        wrong("a queue's event of kind %u", event->kind);
    for (int i = 0; i < CONTEXTS; i++) {
        struct context *context = &platform->contexts[i];

        if (context->handle.object != event->context)
            continue;
        if (atomic_fetch_sub(&queue->inside[i], 1) < 1)
            wrong("an event of a context that nobody has submitted");
        return;
    }
    wrong("an event of an unknown context");
}

static void wait_in(struct thread *thread, struct platform *platform, struct queue *queue)
{
    static const int64_t times[] = {0, 0, 100000, 5000000, -1};
    int64_t timeout = times[random_below(thread, sizeof(times) / sizeof(times[0]))];
    tg_event events[EVENTS] = {{.size = sizeof(events[0])}};
    size_t count = 99;

    if (RESULT(thread, platform, tg_queue_wait(queue->handle.object, events, EVENTS, timeout, &count), -EBUSY, -ENOMEM,
               -EAGAIN) &&
        count)
        wrong("tg_queue_wait: an error and %zu events", count);
    if (count > EVENTS)
        wrong("tg_queue_wait: %zu events", count);
    for (size_t i = 0; i < count; i++)
        take_event(platform, queue, &events[i]);
}

static void wait_some(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);

    if (!handle_use(&queue->handle, TAKE))
        return;
    wait_in(thread, platform, queue);
    handle_leave(&queue->handle, TAKE);
}

static void wake(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);

    if (!handle_use(&queue->handle, PROD))
        return;
    RESULT(thread, platform, tg_queue_wake(queue->handle.object));
    handle_leave(&queue->handle, PROD);
}

static void descriptor(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);
    int fd;

    if (!handle_use(&queue->handle, TAKE))
        return;
    fd = CALL(thread, tg_queue_fd(queue->handle.object));
    if (fd < 0)
        check_allowed(platform, "tg_queue_fd", fd, (const int[]){-EMFILE, -ENOMEM, -EAGAIN, -EBUSY, 0});
    handle_leave(&queue->handle, TAKE);
}

/* A context that is on its way is not freed: its event is nobody's yet, for nobody waits. */
static void destroy_submitted(struct thread *thread, struct platform *platform)
{
    struct queue *queue = any(thread, platform);
    int i = (int)random_below(thread, CONTEXTS);
    struct handle *context = &platform->contexts[i].handle;

    if (!handle_use(&queue->handle, ALONE))
        return;
    if (handle_use(context, ALONE)) {
        if (atomic_load(&queue->inside[i]))
            CALL_VOID(thread, tg_context_destroy(context->object));
        handle_leave(context, ALONE);
    }
    handle_leave(&queue->handle, ALONE);
}

const struct random_call queue_calls[] = {
    {4, create}, {1, destroy},    {30, submit},           {30, wait_some},
    {3, wake},   {1, descriptor}, {2, destroy_submitted}, {0, NULL},
};
