/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How contexts leave a queue without stopping by themselves: the thread that
 * owns it ends, their subprocess is destroyed, or the queue is.
 */
#include <sys/wait.h>

#include "core/ptrace/lazy_fp.h"
#include "core/ptrace/life.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/ptrace_run.h"
#include "core/ptrace/queue_ends.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/stub_wait.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_thread.h"

/* Rather than by what the guest did: it can go on from there. */
static bool stopped_by_us(int status)
{
    return !stub_status_is_call(status) && (status >> 16 || WSTOPSIG(status) == INTERRUPT_KICK_SIGNAL);
}

/* Back into the line, unless it has left an event that nobody has collected. One that had to go on is still running. */
static void stop_one(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct stub_thread *thread = context->thread;
    int status;

    if (stub_thread_stop(thread, &status)) {
        interrupt_disarm(&context->base.interrupt);
        fp_forget_thread(thread);
        run_event_dead(context, context->subprocess, &context->event);
    } else if (stopped_by_us(status)) {
        ptrace_queue_requeue(queue, context);
        return;
    } else if (run_stopped(context, thread, status, &context->event) == RUN_AGAIN) {
        return;
    }
    ptrace_queue_take_off_thread(queue, context);
    ptrace_queue_make_ready(queue, context);
    tracer_release(thread);
}

/* queues_lock and queue->lock are held. */
static void stop_own(struct ptrace_queue *queue)
{
    while (!list_empty(&queue->running))
        stop_one(queue, context_of(queue->running.next));
    ptrace_queue_disown(queue);
}

void ptrace_queue_owner_ends(struct tracer *tracer)
{
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);

    pthread_mutex_lock(&pp->queues_lock);
    while (!list_empty(&tracer->queues)) {
        struct ptrace_queue *queue = container_of(tracer->queues.next, struct ptrace_queue, of_owner);

        pthread_mutex_lock(&queue->lock);
        stop_own(queue);
        pthread_mutex_unlock(&queue->lock);
    }
    pthread_mutex_unlock(&pp->queues_lock);
}

static void finish_destroyed(struct ptrace_queue *queue, struct ptrace_subprocess *subprocess, struct list *from)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, from)
    {
        struct ptrace_context *context = context_of(node);

        if (context->subprocess != subprocess)
            continue;
        interrupt_disarm(&context->base.interrupt);
        if (context->thread)
            fp_forget_thread(ptrace_queue_take_off_thread(queue, context));
        run_event_dead(context, subprocess, &context->event);
        ptrace_queue_make_ready(queue, context);
    }
}

/* Their visit ends now, not when the event is taken: destroy waits for it. */
static void leave_for_ready(struct queue_party *party, struct ptrace_subprocess *subprocess)
{
    struct list *node;

    list_for_each(node, &party->turns[LINE_READY].contexts)
    {
        struct ptrace_context *context = context_of(node);

        /* NULL: an earlier look has done it. */
        if (context->subprocess) {
            context->subprocess = NULL;
            subprocess_leave(&subprocess->base);
        }
    }
}

static void finish_party(struct ptrace_queue *queue, struct ptrace_subprocess *subprocess)
{
    struct queue_party *party = ptrace_queue_find_party(queue, subprocess);

    if (!party)
        return;
    finish_destroyed(queue, subprocess, &party->turns[LINE_INCOMING].contexts);
    finish_destroyed(queue, subprocess, &queue->running);
    leave_for_ready(party, subprocess);
}

void ptrace_queue_subprocess_dead(struct ptrace_subprocess *subprocess)
{
    struct tg_platform *platform = subprocess->base.platform;
    struct list *node;

    platform_lock(platform);
    list_for_each(node, &platform->queues)
    {
        struct ptrace_queue *queue = to_ptrace_queue(container_of(node, struct tg_queue, node));

        pthread_mutex_lock(&queue->lock);
        /* The door is shut: pairs with ptrace_queue_submit(), which looks at it with the lock. */
        finish_party(queue, subprocess);
        /* Pairs with show_bell(). */
        ptrace_queue_rouse(&queue->base);
        pthread_mutex_unlock(&queue->lock);
    }
    platform_unlock(platform);
}

/* Contexts that run under another thread cannot be stopped from here: their stubs have to go. */
static void kill_foreign(struct ptrace_queue *queue)
{
    struct list *node;

    list_for_each(node, &queue->running) ptrace_subprocess_die(context_of(node)->subprocess, TG_DEAD_DESTROYED, 0);
    while (!list_empty(&queue->running)) {
        struct ptrace_context *context = context_of(queue->running.next);

        interrupt_disarm(&context->base.interrupt);
        fp_forget_thread(ptrace_queue_take_off_thread(queue, context));
        run_event_dead(context, context->subprocess, &context->event);
        ptrace_queue_make_ready(queue, context);
    }
    ptrace_queue_disown(queue);
}

static void stop_running(struct ptrace_queue *queue)
{
    struct ptrace_platform *pp = ptrace_platform(queue->base.platform);

    pthread_mutex_lock(&pp->queues_lock);
    pthread_mutex_lock(&queue->lock);
    if (queue->owner && queue->owner == tracer_find(queue->base.platform))
        stop_own(queue);
    else
        kill_foreign(queue);
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&pp->queues_lock);
}

/* The embedder may use the context as soon as this returns, and destroy the subprocess. */
static void let_go(struct ptrace_context *context)
{
    struct ptrace_subprocess *subprocess = context->subprocess;

    ptrace_queue_part(context);
    context->queue = NULL;
    context_give_back(&context->base);
    if (subprocess)
        subprocess_leave(&subprocess->base);
}

/* The event in these is of an earlier run. */
static void discard_incoming(struct ptrace_queue *queue)
{
    struct ptrace_context *context;

    while ((context = ptrace_queue_next(queue, LINE_INCOMING)) != NULL) {
        interrupt_disarm(&context->base.interrupt);
        let_go(context);
    }
}

/* No thread is armed for these: an interrupt that is raised here stays for the next run. */
static void discard_ready(struct ptrace_queue *queue)
{
    struct ptrace_context *context;

    while ((context = ptrace_queue_next(queue, LINE_READY)) != NULL) {
        context_take_back(&context->base, &context->event);
        let_go(context);
    }
}

void ptrace_queue_destroy(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);

    stop_running(queue);
    discard_incoming(queue);
    discard_ready(queue);
    pthread_mutex_destroy(&queue->lock);
}
