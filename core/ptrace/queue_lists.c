/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the contexts of a queue are, and its descriptor, which is readable while there is something ready. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/event.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_turns.h"

/* By its number, for write(3) is a point of cancellation. Pairs with make_fd() and drain_fd(). */
void ptrace_queue_signal_fd(const struct ptrace_queue *queue)
{
    const int fd = atomic_load(&queue->fd);
    const uint64_t one = 1;

    if (fd >= 0 && syscall(SYS_write, fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        return; /* it is ours and open: nothing else can happen */
}

void ptrace_queue_make_ready(struct ptrace_queue *queue, struct ptrace_context *context)
{
    context->thread = NULL;
    ptrace_queue_line_up(queue, LINE_READY, context);
    ptrace_queue_signal_fd(queue);
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

bool ptrace_queue_has_ready(struct ptrace_queue *queue)
{
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

size_t ptrace_queue_hand_out(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity)
{
    struct ptrace_context *context;
    size_t n = 0;

    pthread_mutex_lock(&queue->lock);
    while (n < capacity && (context = ptrace_queue_next(queue, LINE_READY)) != NULL) {
        struct ptrace_subprocess *subprocess = context->subprocess;

        ptrace_queue_pass_turn(queue, LINE_READY, context->turn);
        ptrace_queue_part(context);
        event_store(events + n++ * stride, stride, &context->event);
        context->queue = NULL;
        context_give_back(&context->base);
        if (subprocess)
            subprocess_leave(&subprocess->base);
    }
    pthread_mutex_unlock(&queue->lock);
    return n;
}
