/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A backend that runs nothing: whoever switches hears that the subprocess is dead. */
#include <errno.h>
#include <string.h>

#include "core/backend.h"
#include "core/event.h"
#include "core/subprocess_life.h"

#define TOY_BACKEND 77
#define TOY_STATUS  7

struct toy_queue {
    struct tg_queue base;
    struct tg_context *submitted;
};

static bool toy_is_ported(void)
{
    return true;
}

static int toy_open(struct tg_platform *platform, const struct tg_platform_options *options, struct open_report *report)
{
    (void)options;
    (void)report;
    platform->info.user_end = platform->user_space.end_min;
    platform->info.fpstate_size = 512;
    return 0;
}

static void toy_close(struct tg_platform *platform)
{
    (void)platform;
}

static int toy_subprocess_create(struct tg_subprocess *subprocess, struct tg_subprocess *from)
{
    (void)subprocess;
    (void)from;
    return 0;
}

static void toy_subprocess_destroy(struct tg_subprocess *subprocess)
{
    subprocess_shut(subprocess);
    subprocess_drain(subprocess);
    subprocess_release(subprocess);
}

static void toy_subprocess_empty(struct tg_subprocess *subprocess)
{
    (void)subprocess;
}

static ssize_t toy_subprocess_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts)
{
    (void)subprocess;
    (void)parts;
    return -EFAULT;
}

static int toy_subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    (void)subprocess;
    (void)ops;
    *done = n;
    return 0;
}

static int toy_subprocess_reset(struct tg_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n)
{
    (void)subprocess;
    (void)unmaps;
    (void)n;
    return 0;
}

static void toy_context_reset(struct tg_context *context)
{
    memset(context->fp, 0, context->platform->info.fpstate_size);
}

static int toy_context_pull_fp(struct tg_context *context)
{
    (void)context;
    return 0;
}

static int toy_fp_check(const struct tg_platform *platform, const void *image)
{
    (void)platform;
    (void)image;
    return 0;
}

static void toy_context_nothing(struct tg_context *context)
{
    (void)context;
}

static int toy_context_switch(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event)
{
    (void)subprocess;
    event_dead(event, context, TG_DEAD_EXITED, TOY_STATUS);
    return 0;
}

static int toy_queue_create(struct tg_queue *queue)
{
    (void)queue;
    return 0;
}

static int toy_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess)
{
    ((struct toy_queue *)queue)->submitted = context;
    subprocess_leave(subprocess);
    return 0;
}

static int toy_queue_wait(struct tg_queue *base, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                          size_t *count)
{
    struct toy_queue *queue = (struct toy_queue *)base;
    struct tg_event event;

    (void)capacity;
    (void)timeout_ns;
    *count = queue->submitted != NULL;
    if (queue->submitted) {
        event_dead(&event, queue->submitted, TG_DEAD_EXITED, TOY_STATUS);
        event_store(events, stride, &event);
        context_give_back(queue->submitted);
        queue->submitted = NULL;
    }
    return 0;
}

static void toy_queue_rouse(struct tg_queue *queue)
{
    (void)queue;
}

static int toy_queue_thread(pthread_t *thread, thread_main *main, void *arg)
{
    (void)thread;
    (void)main;
    (void)arg;
    return -ENOSYS;
}

static void toy_queue_serve(struct tg_queue *queue)
{
    (void)queue;
}

static bool toy_queue_has_ready(struct tg_queue *queue)
{
    (void)queue;
    return false;
}

static size_t toy_queue_hand_out(struct tg_queue *queue, void *events, size_t stride, size_t capacity)
{
    (void)queue;
    (void)events;
    (void)stride;
    (void)capacity;
    return 0;
}

static void toy_queue_destroy(struct tg_queue *queue)
{
    (void)queue;
}

const struct backend_ops toy_backend = {
    .backend = TOY_BACKEND,
    .name = "toy",
    .subprocess_size = sizeof(struct tg_subprocess),
    .context_size = sizeof(struct tg_context),
    .queue_size = sizeof(struct toy_queue),
    .is_ported = toy_is_ported,
    .open = toy_open,
    .close = toy_close,
    .subprocess_create = toy_subprocess_create,
    .subprocess_destroy = toy_subprocess_destroy,
    .subprocess_empty = toy_subprocess_empty,
    .subprocess_reset = toy_subprocess_reset,
    .subprocess_apply = toy_subprocess_apply,
    .subprocess_copy = toy_subprocess_copy,
    .context_reset = toy_context_reset,
    .context_pull_fp = toy_context_pull_fp,
    .fp_check = toy_fp_check,
    .context_fp_changes = toy_context_nothing,
    .context_destroy = toy_context_nothing,
    .context_switch = toy_context_switch,
    .queue_create = toy_queue_create,
    .queue_submit = toy_queue_submit,
    .queue_wait = toy_queue_wait,
    .queue_rouse = toy_queue_rouse,
    .queue_thread = toy_queue_thread,
    .queue_serve = toy_queue_serve,
    .queue_has_ready = toy_queue_has_ready,
    .queue_hand_out = toy_queue_hand_out,
    .queue_destroy = toy_queue_destroy,
};
