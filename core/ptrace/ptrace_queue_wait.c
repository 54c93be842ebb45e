/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How the owner of a queue waits: yielding while runs are short, then asleep until a tracee stops. */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/ptrace/bell.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/tracer_thread.h"

#define SLICE_NS 10000000 /* a turn, when others wait */
#define DOZE_NS  1000000  /* between two looks, when nothing wakes the waiter */

void ptrace_queue_rouse(struct tg_queue *base)
{
    const pid_t bell = atomic_load(&to_ptrace_queue(base)->bell);

    if (bell)
        bell_signal(base->platform, bell);
}

/* Placed stub threads run while this thread gives way. */
static void collect_yielding(struct ptrace_queue *queue)
{
    int64_t started = clock_monotonic_ns();

    while (!ptrace_queue_has_ready(&queue->base) && placement_yield(queue->owner, started))
        ptrace_queue_collect(queue);
}

/* It computes: it may go elsewhere. With others waiting, its turn ends. Returns when that is, if it is not yet. */
static int64_t settle_one(struct ptrace_context *context, int64_t now, bool crowded)
{
    struct stub_thread *thread = context->thread;

    placement_set_free(thread);
    thread->long_run = true;
    if (!crowded || context->preempt)
        return NEVER;
    if (now - context->started_ns < SLICE_NS)
        return context->started_ns + SLICE_NS;
    context->preempt = true;
    syscall(SYS_tgkill, atomic_load(&context->subprocess->base.pid), thread->tid, INTERRUPT_KICK_SIGNAL);
    return NEVER;
}

/* Those that run for that long already. Returns when the next turn ends. */
static int64_t settle_running(struct ptrace_queue *queue, int64_t at_least_ns)
{
    const bool crowded = !ptrace_queue_line_empty(queue, LINE_INCOMING);
    int64_t now = clock_monotonic_ns();
    int64_t next = NEVER;
    struct list *node;

    list_for_each(node, &queue->running)
    {
        struct ptrace_context *context = context_of(node);
        int64_t end;

        if (now - context->started_ns < at_least_ns)
            continue;
        end = settle_one(context, now, crowded);
        next = end < next ? end : next;
    }
    return next;
}

void ptrace_queue_upkeep(struct ptrace_queue *queue)
{
    int64_t now = clock_monotonic_ns();

    if (now < queue->upkeep_at)
        return;
    queue->upkeep_at = now + SLICE_NS;
    pthread_mutex_lock(&queue->lock);
    ptrace_queue_finish_interrupted(queue);
    settle_running(queue, SLICE_NS);
    pthread_mutex_unlock(&queue->lock);
}

/* Is there something to do before sleeping? A service leaves ready events to others. */
static bool has_work(struct ptrace_queue *queue)
{
    if (!queue->starved && queue->running_count < RUNNING_MAX && !ptrace_queue_line_empty(queue, LINE_INCOMING))
        return true;
    if (queue->served)
        return atomic_load(&queue->base.stopping);
    return !ptrace_queue_line_empty(queue, LINE_READY) || atomic_load(&queue->base.woken);
}

/*
 * Without a bell nothing wakes a tracer that sleeps in wait4(2), so it looks
 * again in a moment: the template is dead, or the host refuses another thread
 * there, and neither is a reason to leave alone what runs in subprocesses.
 */
static void doze(struct ptrace_queue *queue, int64_t until_ns)
{
    int64_t left = until_ns == NEVER ? DOZE_NS : until_ns - clock_monotonic_ns();
    bool work;

    pthread_mutex_lock(&queue->lock);
    settle_running(queue, 0);
    ptrace_queue_finish_interrupted(queue);
    work = has_work(queue);
    pthread_mutex_unlock(&queue->lock);
    if (!work && left > 0 && !ptrace_queue_collect_one(queue, WNOHANG))
        clock_pause(left < DOZE_NS ? left : DOZE_NS);
}

/*
 * Shows the bell, and looks for work. Returns until when there is none; 0: there is some. Pairs with
 * ptrace_queue_submit(), queue_wake(), queue_outlet_stop() and ptrace_queue_subprocess_dead().
 */
static int64_t show_bell(struct ptrace_queue *queue)
{
    int64_t slice_end;

    pthread_mutex_lock(&queue->lock);
    atomic_store(&queue->bell, queue->owner->bell.thread->tid);
    slice_end = settle_running(queue, 0);
    ptrace_queue_finish_interrupted(queue);
    ptrace_queue_arm_incoming(queue);
    /* Whoever comes from here on sees the bell and signals it. */
    if (has_work(queue)) {
        slice_end = 0;
    } else if (queue->starved) {
        int64_t again = clock_monotonic_ns() + DOZE_NS;

        slice_end = again < slice_end ? again : slice_end;
    }
    pthread_mutex_unlock(&queue->lock);
    return slice_end;
}

void ptrace_queue_sleep_once(struct ptrace_queue *queue, int64_t until_ns)
{
    struct tracer *tracer = queue->owner;
    int err = bell_prepare(tracer);

    if (!err) {
        int64_t slice_end = show_bell(queue);

        if (slice_end)
            err = bell_arm(tracer, slice_end < until_ns ? slice_end : until_ns);
        if (slice_end && !err)
            ptrace_queue_collect_one(queue, 0);
        atomic_store(&queue->bell, 0);
    }
    if (err)
        doze(queue, until_ns);
}

/* One pass: start and collect, also when something is ready from before; and if nothing came of it, wait. */
static int pump(struct ptrace_queue *queue, int64_t until_ns)
{
    int err;

    pthread_mutex_lock(&queue->lock);
    err = ptrace_queue_start_incoming(queue);
    pthread_mutex_unlock(&queue->lock);
    if (err)
        return err;
    if (!ptrace_queue_has_ready(&queue->base) && ptrace_queue_anything_running(queue) && until_ns)
        collect_yielding(queue);
    ptrace_queue_collect(queue);
    ptrace_queue_upkeep(queue);
    if (ptrace_queue_has_ready(&queue->base) || !until_ns || atomic_load(&queue->base.woken))
        return 0;
    ptrace_queue_sleep_once(queue, until_ns);
    return 0;
}

int ptrace_queue_claim(struct ptrace_queue *queue, struct tracer *tracer)
{
    struct tg_platform *platform = queue->base.platform;
    struct ptrace_platform *pp = ptrace_platform(platform);
    int err = 0;

    pthread_mutex_lock(&pp->queues_lock);
    pthread_mutex_lock(&queue->lock);
    if (queue->owner && queue->owner != tracer && queue->running_count) {
        err = platform_fail(platform, -EBUSY,
                            "wait on a queue: contexts run under the thread that waited before; wait there, or call "
                            "tg_queue_fd() before the first submit");
    } else if (queue->owner != tracer) {
        queue->owner = tracer;
        list_remove(&queue->of_owner);
        list_add_last(&tracer->queues, &queue->of_owner);
    }
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&pp->queues_lock);
    return err;
}

void ptrace_queue_disown(struct ptrace_queue *queue)
{
    queue->owner = NULL;
    list_remove(&queue->of_owner);
}

int ptrace_queue_wait(struct tg_queue *base, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *n)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    const int64_t until_ns = timeout_ns ? clock_deadline_ns(timeout_ns) : 0;
    struct tracer *tracer = tracer_current(base->platform);
    int err;

    if (!tracer)
        return platform_fail(base->platform, -ENOMEM, "wait on a queue: no memory");
    err = ptrace_queue_claim(queue, tracer);
    while (!err) {
        err = pump(queue, until_ns);
        /* What is there is not kept back by an error, which comes again. */
        *n = ptrace_queue_hand_out(base, events, stride, capacity);
        if (*n)
            return 0;
        if (err || atomic_exchange(&queue->base.woken, false) ||
            (until_ns != NEVER && clock_monotonic_ns() >= until_ns))
            break;
    }
    return err;
}
