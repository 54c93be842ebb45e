/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Entry points: queue. They check and forward, nothing else. */
#include <errno.h>

#include "abi/option_structs.h"
#include "abi/public_errors.h"
#include "core/backend.h"
#include "core/no_cancel.h"
#include "core/queue_outlet.h"

int tg_queue_create(tg_platform *platform, tg_queue **out)
{
    if (!out)
        return platform_fail_null(platform, __func__);
    *out = NULL;
    if (!platform)
        return -EINVAL;
    return public_error(queue_create(platform, out));
}

int tg_queue_submit(tg_queue *queue, tg_context *context, tg_subprocess *subprocess)
{
    tg_platform *platform;
    int err;

    if (!queue || !context || !subprocess)
        return platform_fail_null(queue        ? queue->platform
                                  : context    ? context->platform
                                  : subprocess ? subprocess->platform
                                               : NULL,
                                  __func__);
    platform = queue->platform;
    if (context->platform != platform || subprocess->platform != platform)
        return platform_fail(platform, -EINVAL, "submit: context or subprocess belong to another platform");
    if (!context_take(context))
        return platform_fail(platform, -EBUSY, "submit: the context is running");
    context_start_clock(context);
    err = context_regs_place(context) == REGS_HERE ? tgi_arch.regs_check(&context->regs) : 0;
    if (err)
        platform_fail(platform, err,
                      "submit: a register of the context holds what the processor refuses (segment selectors, "
                      "segment bases)");
    else if (!subprocess_enter(subprocess))
        err = platform_fail(platform, -ESRCH, "submit: the subprocess is being destroyed");
    else
        err = platform->ops->queue_submit(queue, context, subprocess);
    if (err)
        context_give_back(context);
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
