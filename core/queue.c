/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The life of a queue; what it does is the backend's. */
#include <errno.h>
#include <stdlib.h>

#include "core/backend.h"
#include "core/queue_outlet.h"

int queue_create(struct tg_platform *platform, struct tg_queue **out)
{
    struct tg_queue *queue = calloc(1, platform->ops->queue_size);
    int err;

    if (!queue)
        return platform_fail(platform, -ENOMEM, "create a queue: no memory for its handle");
    queue->platform = platform;
    queue_outlet_init(queue);
    err = platform->ops->queue_create(queue);
    if (err) {
        free(queue);
        return err;
    }
    platform_lock(platform);
    list_add_last(&platform->queues, &queue->node);
    platform_unlock(platform);
    *out = queue;
    return 0;
}

void queue_forget(struct tg_queue *queue)
{
    queue_outlet_close(queue);
}

void queue_destroy(struct tg_queue *queue)
{
    struct tg_platform *platform;

    if (!queue)
        return;
    platform = queue->platform;
    if (!platform_is_ours(platform)) {
        queue_forget(queue);
        return;
    }
    platform_lock(platform);
    list_remove(&queue->node);
    platform_unlock(platform);
    queue_outlet_stop(queue);
    platform->ops->queue_destroy(queue);
    /* Until here others may have written to it: whoever destroys a subprocess, for contexts that ran there. */
    queue_outlet_close(queue);
    free(queue);
}
