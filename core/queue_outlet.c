/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/backend.h"
#include "core/clock.h"
#include "core/descriptors.h"
#include "core/queue_outlet.h"

/* ---- one thread at a time ---- */

/* To open the descriptor takes no longer than to make a thread: whoever comes meanwhile waits for that. */
static bool enter(struct tg_queue *queue, enum queue_use use)
{
    uint32_t found = QUEUE_FREE;

    for (unsigned int i = 0; !atomic_compare_exchange_strong(&queue->use, &found, use); i++) {
        if (found == QUEUE_WAITED_ON)
            return false;
        clock_pause_between_looks(i);
        found = QUEUE_FREE;
    }
    return true;
}

static void leave(struct tg_queue *queue)
{
    atomic_store_explicit(&queue->use, QUEUE_FREE, memory_order_release);
}

/* ---- waking ---- */

/* By its number, for write(3) is a point of cancellation. Pairs with start_service(), and with wait_on_fd(). */
void queue_outlet_notify(const struct tg_queue *queue)
{
    const int fd = atomic_load(&queue->fd);
    const uint64_t one = 1;

    while (fd >= 0 && syscall(SYS_write, fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

int queue_wake(struct tg_queue *queue)
{
    const int saved_errno = errno;

    /* Pairs with start_service() by the descriptor; with sleep_until() on systrap, with show_bell() on ptrace. */
    atomic_store(&queue->woken, true);
    queue->platform->ops->queue_rouse(queue);
    queue_outlet_notify(queue);
    errno = saved_errno;
    return 0;
}

/* ---- waiting ---- */

void queue_outlet_clear(const struct tg_queue *queue)
{
    const int fd = atomic_load(&queue->fd);
    uint64_t count;

    if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
        errno = 0; /* it was not readable: fine */
}

/* The service collects; here only its results are taken. Clears the descriptor, then looks: pairs with queue_wake(). */
static size_t wait_on_fd(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns)
{
    const int64_t until = clock_deadline_ns(timeout_ns);

    for (;;) {
        size_t n = queue->platform->ops->queue_hand_out(queue, events, stride, capacity);

        if (n || atomic_exchange(&queue->woken, false))
            return n;
        if (until != INT64_MAX && clock_monotonic_ns() >= until)
            return 0;
        descriptor_wait(atomic_load(&queue->fd), until);
    }
}

int queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns, size_t *count)
{
    struct tg_platform *platform = queue->platform;
    int err = 0;

    if (!platform_may_be_ours(platform))
        return platform_refuse_fork(platform, "wait");
    if (!enter(queue, QUEUE_WAITED_ON))
        return platform_fail(platform, -EBUSY, "wait on a queue: another thread waits on it");
    if (queue_has_fd(queue))
        *count = wait_on_fd(queue, events, stride, capacity, timeout_ns);
    else
        err = platform->ops->queue_wait(queue, events, stride, capacity, timeout_ns, count);
    leave(queue);
    return err;
}

/* ---- the descriptor and its service ---- */

/* The sentence, and the number of the header's list. */
static int fd_failed(struct tg_platform *platform, int err)
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

static void *service_main(void *arg)
{
    struct tg_queue *queue = arg;

    queue->platform->ops->queue_serve(queue);
    return NULL;
}

/*
 * The number is nobody's to use before there is a thread that writes to it: one that
 * could not be made leaves nothing behind, and a wake beside this writes to no
 * descriptor that has the number next.
 */
static int start_service(struct tg_queue *queue)
{
    const struct backend_ops *ops = queue->platform->ops;
    const int fd = descriptor_eventfd(EFD_NONBLOCK);
    int err;

    if (fd < 0)
        return fd_failed(queue->platform, fd);
    err = ops->queue_thread(&queue->service, service_main, queue);
    if (err) {
        close(fd);
        return fd_failed(queue->platform, err);
    }
    atomic_store(&queue->fd, fd);
    /* Who came before has looked for it in vain. Pairs with queue_outlet_notify(). */
    if (atomic_load(&queue->woken) || ops->queue_has_ready(queue))
        queue_outlet_notify(queue);
    return 0;
}

static int open_fd(struct tg_queue *queue)
{
    const struct backend_ops *ops = queue->platform->ops;
    const int err = ops->queue_hand_over ? ops->queue_hand_over(queue) : 0;

    return err ? err : start_service(queue);
}

int queue_fd(struct tg_queue *queue)
{
    struct tg_platform *platform = queue->platform;
    int err = 0;

    if (queue_has_fd(queue))
        return atomic_load(&queue->fd);
    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, "queue descriptor");
    if (!enter(queue, QUEUE_OPENED))
        return platform_fail(platform, -EBUSY, "queue descriptor: a thread waits on this queue");
    /* Another thread may have been here meanwhile. */
    if (!queue_has_fd(queue))
        err = open_fd(queue);
    leave(queue);
    return err ? err : atomic_load(&queue->fd);
}

void queue_outlet_init(struct tg_queue *queue)
{
    atomic_store(&queue->fd, -1);
}

void queue_outlet_stop(struct tg_queue *queue)
{
    if (!queue_has_fd(queue))
        return;
    /* Pairs as queue_wake() does. */
    atomic_store(&queue->stopping, true);
    queue->platform->ops->queue_rouse(queue);
    pthread_join(queue->service, NULL);
}

void queue_outlet_close(struct tg_queue *queue)
{
    const int fd = atomic_exchange(&queue->fd, -1);

    if (fd >= 0)
        close(fd);
}
