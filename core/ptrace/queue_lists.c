/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the contexts of a queue are; its descriptor is readable while there is something ready. */
#include "core/ptrace/queue_lists.h"
#include "core/clock.h"
#include "core/event.h"
#include "core/ptrace/queue_turns.h"
#include "core/queue_outlet.h"

void ptrace_queue_make_ready(struct ptrace_queue *queue, struct ptrace_context *context)
{
    context->thread = NULL;
    ptrace_queue_line_up(queue, LINE_READY, context);
    queue_outlet_notify(&queue->base);
}

void ptrace_queue_make_running(struct ptrace_queue *queue, struct ptrace_context *context, struct stub_thread *thread)
{
    context->thread = thread;
    context->preempt = false;
    context->started_ns = clock_monotonic_ns();
    ptrace_queue_leave_line(context);
    list_add_last(&queue->running, &context->of_queue);
    queue->running_count++;
}

struct stub_thread *ptrace_queue_take_off_thread(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct stub_thread *thread = context->thread;

    context->thread = NULL;
    queue->running_count--;
    queue->starved = false;
    return thread;
}

bool ptrace_queue_has_ready(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    bool ready;

    pthread_mutex_lock(&queue->lock);
    ready = !ptrace_queue_line_empty(queue, LINE_READY);
    pthread_mutex_unlock(&queue->lock);
    return ready;
}

bool ptrace_queue_anything_running(struct ptrace_queue *queue)
{
    bool running;

    pthread_mutex_lock(&queue->lock);
    running = queue->running_count != 0;
    pthread_mutex_unlock(&queue->lock);
    return running;
}

size_t ptrace_queue_hand_out(struct tg_queue *base, void *events, size_t stride, size_t capacity)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct ptrace_context *context;
    size_t n = 0;

    pthread_mutex_lock(&queue->lock);
    while (n < capacity && (context = ptrace_queue_next(queue, LINE_READY)) != NULL) {
        struct ptrace_subprocess *subprocess = context->subprocess;

        ptrace_queue_pass_turn(queue, LINE_READY, context->turn);
        ptrace_queue_part(context);
        event_store((char *)events + n++ * stride, stride, &context->event);
        context->queue = NULL;
        context_give_back(&context->base);
        if (subprocess)
            subprocess_leave(&subprocess->base);
    }
    if (ptrace_queue_line_empty(queue, LINE_READY))
        queue_outlet_clear(base);
    pthread_mutex_unlock(&queue->lock);
    return n;
}
