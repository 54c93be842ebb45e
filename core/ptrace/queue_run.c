/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the owner of a queue does with stub threads: it starts contexts on
 * them, and takes contexts off them when they stop.
 */
#include <errno.h>
#include <sys/wait.h>

#include "core/event.h"
#include "core/ptrace/bell.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/ptrace_run.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/stub_wait.h"
#include "core/ptrace/tracer.h"

/* Runs it, or makes its event ready at once. An error leaves it where it is. */
static int start_one(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct tracer *tracer = queue->owner;
    struct stub_thread *thread;
    int err;

    interrupt_disarm(&context->base.interrupt);
    err = tracer_acquire(tracer, context->subprocess, context, &thread);
    if (err == -ESRCH) {
        run_event_dead(context, context->subprocess, &context->event);
        ptrace_queue_make_ready(queue, context);
        return 0;
    }
    if (err)
        return err;
    err = run_start(context, thread, &context->event);
    if (!err) {
        ptrace_queue_make_running(queue, context, thread);
        return 0;
    }
    tracer_release(thread);
    if (err < 0)
        return err;
    ptrace_queue_make_ready(queue, context);
    return 0;
}

/* A context that cannot be started must not stop the others: its registers are to blame, or its stub. */
int ptrace_queue_start_incoming(struct ptrace_queue *queue)
{
    struct ptrace_context *context;

    queue->starved = false;
    while (queue->running_count < RUNNING_MAX && (context = ptrace_queue_next(queue, LINE_INCOMING)) != NULL) {
        struct queue_turn *turn = context->turn;
        int err = start_one(queue, context);

        ptrace_queue_pass_turn(queue, LINE_INCOMING, turn);
        if (!err)
            continue;
        /* When one of the others stops, its stub thread is free. */
        if (queue->running_count && (err == -EAGAIN || err == -ENOMEM)) {
            queue->starved = true;
            return 0;
        }
        if (err != -EINVAL && err != -EBUSY)
            return err;
        event_dead(&context->event, &context->base, TG_DEAD_CORRUPT, -err);
        ptrace_queue_make_ready(queue, context);
    }
    return 0;
}

static void finish_if_interrupted(struct ptrace_queue *queue, struct ptrace_context *context)
{
    if (!interrupt_pending(&context->base.interrupt))
        return;
    interrupt_disarm(&context->base.interrupt);
    interrupt_take(&context->base.interrupt);
    context->base.in_syscall = false;
    count(queue->base.platform, COUNTER_INTERRUPTS);
    event_begin(&context->event, &context->base, TG_EVENT_INTERRUPTED);
    ptrace_queue_make_ready(queue, context);
}

void ptrace_queue_finish_interrupted(struct ptrace_queue *queue)
{
    ptrace_queue_for_each_waiting(queue, finish_if_interrupted);
}

void ptrace_queue_end_incoming(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct tg_subprocess *subprocess = &context->subprocess->base;

    run_event_dead(context, context->subprocess, &context->event);
    ptrace_queue_make_ready(queue, context);
    context->subprocess = NULL;
    subprocess_leave(subprocess);
}

static void arm_one(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct interrupt *interrupt = &context->base.interrupt;

    interrupt_arm_waiting(interrupt, ptrace_platform(queue->base.platform)->template.group, atomic_load(&queue->bell));
    /* Raised before it could see the bell. Pairs with interrupt_raise(). */
    if (interrupt_pending(interrupt))
        bell_signal(queue->base.platform, atomic_load(&queue->bell));
}

void ptrace_queue_arm_incoming(struct ptrace_queue *queue)
{
    ptrace_queue_for_each_waiting(queue, arm_one);
}

void ptrace_queue_requeue(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct stub_thread *thread = ptrace_queue_take_off_thread(queue, context);

    count(queue->base.platform, COUNTER_PREEMPTIONS);
    if (run_suspend(context, thread)) {
        run_event_dead(context, context->subprocess, &context->event);
        ptrace_queue_make_ready(queue, context);
    } else {
        ptrace_queue_line_up(queue, LINE_INCOMING, context);
    }
    tracer_release(thread);
}

static bool is_kick(int status)
{
    return !stub_status_is_death(status) && status >> 16 == 0 && WSTOPSIG(status) == INTERRUPT_KICK_SIGNAL;
}

static struct ptrace_context *find_running(struct ptrace_queue *queue, const struct stub_thread *thread)
{
    struct list *node;

    list_for_each(node, &queue->running)
    {
        if (context_of(node)->thread == thread)
            return context_of(node);
    }
    return NULL;
}

/* False: nothing of this queue's runs on the thread, or not any more. */
static bool context_stopped(struct ptrace_queue *queue, struct stub_thread *thread, int status)
{
    struct ptrace_context *context;

    pthread_mutex_lock(&queue->lock);
    context = find_running(queue, thread);
    if (context && context->preempt && is_kick(status) && !interrupt_pending(&context->base.interrupt)) {
        ptrace_queue_requeue(queue, context);
    } else if (context && run_stopped(context, thread, status, &context->event) == RUN_EVENT) {
        placement_note_run(thread, context->started_ns);
        ptrace_queue_take_off_thread(queue, context);
        ptrace_queue_make_ready(queue, context);
        tracer_release(thread);
    }
    pthread_mutex_unlock(&queue->lock);
    return context;
}

/* The thread waits on one queue and meets what runs in another one of its own. */
static bool context_of_others_stopped(struct tracer *tracer, struct stub_thread *thread, int status)
{
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);
    struct list *node;
    bool found = false;

    pthread_mutex_lock(&pp->queues_lock);
    list_for_each(node, &tracer->queues)
    {
        found = context_stopped(container_of(node, struct ptrace_queue, of_owner), thread, status);
        if (found)
            break;
    }
    pthread_mutex_unlock(&pp->queues_lock);
    return found;
}

static void tracee_stopped(struct ptrace_queue *queue, pid_t tid, int status)
{
    struct tracer *tracer = queue->owner;
    struct stub_thread *thread = tracer_by_tid(tracer, tid);

    if (!thread)
        return;
    if (thread == tracer->bell.thread)
        bell_stopped(tracer, status);
    else if (!context_stopped(queue, thread, status) && !context_of_others_stopped(tracer, thread, status) &&
             stub_status_is_death(status))
        stub_thread_died(thread, status);
}

bool ptrace_queue_collect_one(struct ptrace_queue *queue, int options)
{
    pid_t group = ptrace_platform(queue->base.platform)->template.group;
    int status;
    pid_t tid = waitpid(-group, &status, options | __WALL | __WNOTHREAD);

    if (tid <= 0)
        return false;
    tracee_stopped(queue, tid, status);
    return true;
}

void ptrace_queue_collect(struct ptrace_queue *queue)
{
    while (ptrace_queue_anything_running(queue) && ptrace_queue_collect_one(queue, WNOHANG))
        continue;
}
