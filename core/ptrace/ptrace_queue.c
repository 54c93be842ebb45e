/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many contexts for one waiting thread: what tg_queue_create(), submit, wait
 * and wake do. ptrace_queue.h says how it works.
 */
#include <errno.h>

#include "core/clock.h"
#include "core/no_cancel.h"
#include "core/ptrace/bell.h"
#include "core/ptrace/ptrace_queue.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_service.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/tracer_thread.h"

int ptrace_queue_create(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);

    pthread_mutex_init(&queue->lock, NULL);
    ptrace_queue_init_turns(queue);
    list_init(&queue->running);
    list_init(&queue->of_owner);
    atomic_store(&queue->fd, -1);
    return 0;
}

int ptrace_queue_submit(struct tg_queue *base, struct tg_context *base_context, struct tg_subprocess *subprocess)
{
    NO_CANCELLATION;
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct ptrace_context *context = to_ptrace_context(base_context);
    const struct tracer *tracer = tracer_find(base->platform);
    int err;

    if (!platform_may_be_ours(base->platform)) {
        subprocess_leave(subprocess);
        return platform_refuse_fork(base->platform, "submit");
    }
    context->subprocess = to_ptrace_subprocess(subprocess);
    context->queue = queue;
    pthread_mutex_lock(&queue->lock);
    err = ptrace_queue_join(queue, context);
    if (!err) {
        /* Pairs with show_bell(). */
        ptrace_queue_line_up(queue, LINE_INCOMING, context);
        /* Destroy may have looked for it before it was there: pairs with ptrace_queue_subprocess_dead(). */
        if (subprocess_is_shut(subprocess))
            ptrace_queue_end_incoming(queue, context);
        /* An error is not the submit's: the wait tries again, and reports what it meets. */
        if (tracer && tracer == queue->owner)
            ptrace_queue_start_incoming(queue);
        else if (atomic_load(&queue->bell))
            bell_ring(base->platform, atomic_load(&queue->bell));
    }
    pthread_mutex_unlock(&queue->lock);
    if (!err)
        return 0;
    context->queue = NULL;
    subprocess_leave(subprocess);
    return platform_fail(base->platform, err, "submit: no memory");
}

int ptrace_queue_wait(struct tg_queue *base, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *count)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    int64_t until = NEVER;
    bool busy;
    int err;

    if (!platform_may_be_ours(base->platform))
        return platform_refuse_fork(base->platform, "wait");
    if (timeout_ns == 0)
        until = 0;
    else if (timeout_ns > 0 && timeout_ns < NEVER - clock_monotonic_ns())
        until = clock_monotonic_ns() + timeout_ns;
    pthread_mutex_lock(&queue->lock);
    busy = queue->waiting;
    queue->waiting = true;
    pthread_mutex_unlock(&queue->lock);
    if (busy)
        return platform_fail(base->platform, -EBUSY, "wait on a queue: another thread waits on it");
    err = atomic_load(&queue->fd) >= 0 ? ptrace_queue_wait_on_fd(queue, events, stride, capacity, until, count)
                                       : ptrace_queue_wait_as_owner(queue, events, stride, capacity, until, count);
    pthread_mutex_lock(&queue->lock);
    queue->waiting = false;
    pthread_mutex_unlock(&queue->lock);
    return err;
}

int ptrace_queue_wake(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    pid_t bell;
    int saved_errno = errno;

    /* Pairs with make_fd(), and with show_bell(). */
    atomic_store(&queue->woken, true);
    ptrace_queue_signal_fd(queue);
    bell = atomic_load(&queue->bell);
    if (bell)
        bell_ring(base->platform, bell);
    errno = saved_errno;
    return 0;
}
