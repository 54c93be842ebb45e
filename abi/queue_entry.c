/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Entry points: queue. They check and forward, nothing else. */
#include <errno.h>

#include "abi/option_structs.h"
#include "abi/public_errors.h"
#include "core/backend.h"
#include "core/event.h"
#include "core/no_cancel.h"
#include "core/queue_outlet.h"

#define SPIN_NS_MAX (INT64_C(100) * 1000 * 1000)

int tg_queue_create(tg_platform *platform, tg_queue **out)
{
    if (!out)
        return platform_fail_null(platform, __func__);
    *out = NULL;
    if (!platform)
        return -EINVAL;
    return public_error(queue_create(platform, out));
}

static tg_platform *platform_of(const tg_context *context, const tg_subprocess *subprocess, const tg_queue *queue)
{
    return queue ? queue->platform : context ? context->platform : subprocess ? subprocess->platform : NULL;
}

int tg_queue_submit(tg_queue *queue, tg_context *context, tg_subprocess *subprocess)
{
    tg_platform *platform;
    int err;

    if (!queue || !context || !subprocess)
        return platform_fail_null(platform_of(context, subprocess, queue), __func__);
    platform = queue->platform;
    if (context->platform != platform || subprocess->platform != platform)
        return platform_fail(platform, -EINVAL, "submit: context or subprocess belong to another platform");
    if (!context_take(context))
        return platform_fail(platform, -EBUSY, "submit: the context is running");
    context_start_clock(context);
    err = context_check_regs(context, "submit");
    if (!err && !subprocess_enter(subprocess))
        err = platform_fail(platform, -ESRCH, "submit: the subprocess is being destroyed");
    else if (!err)
        err = platform->ops->queue_submit(queue, context, subprocess);
    if (err)
        context_give_back(context);
    return public_error(err);
}

/* As the switch where the backend cannot leave a running context to the queue: submitted at once. */
static int submit_instead(tg_context *context, tg_subprocess *subprocess, tg_queue *queue, tg_event *event)
{
    int err;

    if (!subprocess_enter(subprocess)) {
        event_dead(event, context, TG_DEAD_DESTROYED, 0);
        return 0;
    }
    err = queue->platform->ops->queue_submit(queue, context, subprocess);
    return err ? err : 1;
}

static int switch_or_submit(tg_context *context, tg_subprocess *subprocess, tg_queue *queue, uint64_t spin_ns,
                            tg_event *event)
{
    const struct backend_ops *ops = queue->platform->ops;
    int err = context_check_regs(context, "switch or submit");

    if (err)
        return err;
    if (!ops->context_switch_or_submit)
        return submit_instead(context, subprocess, queue, event);
    return ops->context_switch_or_submit(context, subprocess, queue,
                                         spin_ns < SPIN_NS_MAX ? (int64_t)spin_ns : SPIN_NS_MAX, event);
}

int tg_context_switch_or_submit(tg_context *context, tg_subprocess *subprocess, tg_queue *queue, uint64_t spin_ns,
                                tg_event *event)
{
    tg_event result;
    tg_event *target;
    int err;

    if (!context || !subprocess || !queue || !event)
        return platform_fail_null(platform_of(context, subprocess, queue), __func__);
    if (context->platform != queue->platform || subprocess->platform != queue->platform)
        return platform_fail(queue->platform, -EINVAL,
                             "switch or submit: context or subprocess belong to another platform");
    err = option_struct_check(event, offsetof(tg_event, u), sizeof(result));
    if (err)
        return platform_fail(queue->platform, err, "switch or submit: the event's size is wrong");
    if (!context_take_as(context, queue->platform->ops->context_switch_or_submit ? CONTEXT_SWITCHING : CONTEXT_RUNNING))
        return platform_fail(queue->platform, -EBUSY, "switch or submit: the context is running");
    context_start_clock(context);
    target = event->size == sizeof(result) ? event : &result;
    err = switch_or_submit(context, subprocess, queue, spin_ns, target);
    /* 1: the context is the queue's, and whoever waits on that may have its event already. */
    if (err != 1)
        context_give_back(context);
    if (!err && target == &result)
        event_store(event, event->size, &result);
    return public_error(err);
}

/* All elements in the first one's size, and nothing in them that we do not know. */
static int check_events(const tg_event *events, size_t capacity)
{
    size_t stride = events->size;

    if (stride < offsetof(tg_event, u) || stride > OPTION_STRUCT_MAX)
        return -EINVAL;
    for (size_t i = 0; stride > sizeof(*events) && i < capacity; i++) {
        int err = option_struct_check((const char *)events + i * stride, offsetof(tg_event, u), sizeof(*events));

        if (err)
            return err;
    }
    return 0;
}

int tg_queue_wait(tg_queue *queue, tg_event *events, size_t capacity, int64_t timeout_ns, size_t *count)
{
    NO_CANCELLATION;
    tg_platform *platform;
    int err;

    if (count)
        *count = 0;
    if (!queue || !events || !count)
        return platform_fail_null(queue ? queue->platform : NULL, __func__);
    platform = queue->platform;
    if (!capacity)
        return platform_fail(platform, -EINVAL, "wait on a queue: room for no event");
    err = check_events(events, capacity);
    if (err)
        return platform_fail(platform, err, "wait on a queue: the size of an event is wrong");
    return public_error(queue_wait(queue, events, events->size, capacity, timeout_ns, count));
}

int tg_queue_wake(tg_queue *queue)
{
    return queue ? queue_wake(queue) : -EINVAL;
}

int tg_queue_fd(tg_queue *queue)
{
    NO_CANCELLATION;

    return queue ? public_error(queue_fd(queue)) : -EINVAL;
}

void tg_queue_destroy(tg_queue *queue)
{
    NO_CANCELLATION;

    queue_destroy(queue);
}
