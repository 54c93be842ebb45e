/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The life of a queue; what it does is the backend's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
    platform_lock(platform);
    list_add_last(&platform->queues, &queue->node);
    platform_unlock(platform);
    *out = queue;
    return 0;
}

int queue_fd_failed(struct tg_platform *platform, int err)
{
    switch (err) {
    case -EMFILE:
    case -ENFILE:
        return platform_fail(platform, -EMFILE, "queue descriptor: no descriptor is left; raise RLIMIT_NOFILE");
    case -EAGAIN:
        return platform_fail(platform, -EAGAIN,
                             "queue descriptor: the host refuses another thread; raise RLIMIT_NPROC or the pids limit "
                             "of the cgroup");
    case -EPERM:
    case -EACCES:
    case -ENOSYS:
        return platform_fail(
            platform, -EPERM,
            "queue descriptor: eventfd2(2) or clone3(2): %s; let the seccomp filter that is in the way "
            "allow both",
            strerror(-err));
    default:
        return platform_fail(platform, -ENOMEM, "queue descriptor: eventfd2(2) or clone3(2): %s", strerror(-err));
    }
}

void queue_forget(struct tg_queue *queue)
{
    if (queue->platform->ops->queue_forget)
        queue->platform->ops->queue_forget(queue);
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
    platform->ops->queue_destroy(queue);
    free(queue);
}
