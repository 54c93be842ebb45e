/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many contexts for one waiting thread: what tg_queue_create() and submit do.
 * ptrace_queue_types.h says how it works.
 */
#include "core/ptrace/ptrace_queue.h"
#include "core/attached.h"
#include "core/no_cancel.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/tracer_thread.h"

int ptrace_queue_create(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);

    pthread_mutex_init(&queue->lock, NULL);
    ptrace_queue_init_turns(queue);
    list_init(&queue->running);
    list_init(&queue->of_owner);
    return 0;
}

int ptrace_queue_submit(struct tg_queue *base, struct tg_context *base_context, struct tg_subprocess *subprocess)
{
    NO_CANCELLATION;
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct ptrace_context *context = to_ptrace_context(base_context);
    const struct tracer *tracer = tracer_find(base->platform);
    int err = 0;

    if (!platform_may_be_ours(base->platform)) {
        subprocess_leave(subprocess);
        return platform_refuse_fork(base->platform, "submit");
    }
    if (base_context->attached_state)
        err = context_write_attached(base_context, subprocess);
    if (err) {
        subprocess_leave(subprocess);
        return err;
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
        else
            ptrace_queue_rouse(base);
    }
    pthread_mutex_unlock(&queue->lock);
    if (!err)
        return 0;
    context->queue = NULL;
    subprocess_leave(subprocess);
    return platform_fail(base->platform, err, "submit: no memory");
}
