/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The life of a queue; what it does is the backend's. */
#include <errno.h>
#include <stdlib.h>

#include "core/backend.h"

int queue_create(struct tg_platform *platform, struct tg_queue **out)
{
    struct tg_queue *queue = calloc(1, platform->ops->queue_size);
    int err;

    if (!queue)
        return platform_fail(platform, -ENOMEM, "create a queue: no memory for its handle");
    queue->platform = platform;
    err = platform->ops->queue_create(queue);
    if (err) {
        free(queue);
        return err;
    }
    pthread_mutex_lock(&platform->lock);
    list_add_last(&platform->queues, &queue->node);
    pthread_mutex_unlock(&platform->lock);
    *out = queue;
    return 0;
}

void queue_destroy(struct tg_queue *queue)
{
    struct tg_platform *platform;

    if (!queue)
        return;
    platform = queue->platform;
    pthread_mutex_lock(&platform->lock);
    list_remove(&queue->node);
    pthread_mutex_unlock(&platform->lock);
    platform->ops->queue_destroy(queue);
    free(queue);
}
