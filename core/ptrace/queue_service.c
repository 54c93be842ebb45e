/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue with a descriptor: the library's own thread, the service, is the
 * owner, and whoever waits only takes ready events.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/descriptors.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_service.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/tracer_thread.h"

#define PAUSE_NS 1000000 /* until what the host refused is tried again */

/* The look at woken comes after. Pairs with ptrace_queue_wake(). */
static void drain_fd(struct ptrace_queue *queue)
{
    uint64_t count;

    pthread_mutex_lock(&queue->lock);
    if (ptrace_queue_line_empty(queue, LINE_READY) && read(atomic_load(&queue->fd), &count, sizeof(count)) < 0)
        errno = 0; /* it was not readable: fine */
    pthread_mutex_unlock(&queue->lock);
}

int ptrace_queue_wait_on_fd(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity, int64_t until_ns,
                            size_t *n)
{
    for (;;) {
        *n = ptrace_queue_hand_out(queue, events, stride, capacity);
        drain_fd(queue);
        if (*n || atomic_exchange(&queue->woken, false))
            return 0;
        if (until_ns != NEVER && clock_monotonic_ns() >= until_ns)
            return 0;
        descriptor_wait(atomic_load(&queue->fd), until_ns);
    }
}

/* One round of the service. An error of the host's is tried again a little later. */
static void serve(struct ptrace_queue *queue)
{
    int err;

    pthread_mutex_lock(&queue->lock);
    ptrace_queue_finish_interrupted(queue);
    err = ptrace_queue_start_incoming(queue);
    pthread_mutex_unlock(&queue->lock);
    ptrace_queue_collect(queue);
    if (err)
        clock_pause(PAUSE_NS);
    else
        ptrace_queue_sleep_once(queue, NEVER);
}

/* The service must not end before it is told to: whoever waits on the descriptor would wait for ever. */
static struct tracer *become_tracer(struct ptrace_queue *queue)
{
    struct tracer *tracer;

    while (!(tracer = tracer_current(queue->base.platform)) && !atomic_load(&queue->stopping))
        clock_pause(PAUSE_NS);
    return tracer;
}

static void *service_main(void *arg)
{
    struct ptrace_queue *queue = arg;
    struct tracer *tracer = become_tracer(queue);

    if (tracer)
        ptrace_queue_claim(queue, tracer);
    while (!atomic_load(&queue->stopping))
        serve(queue);
    return NULL;
}

static int start_service(struct ptrace_queue *queue)
{
    sigset_t all;
    sigset_t before;
    int err;

    /*
     * All but SIGCHLD: the kernel sends that at every stop, and drops it when
     * it is neither handled nor blocked. A blocked one would wake other threads.
     */
    sigfillset(&all);
    sigdelset(&all, SIGCHLD);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&queue->service, NULL, service_main, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

/*
 * The number is stored when there is a service: a wake beside this writes to no
 * descriptor that has the number after a failure. queues_lock and queue->lock are held.
 */
static int make_fd(struct ptrace_queue *queue)
{
    struct tg_platform *platform = queue->base.platform;
    int fd;
    int err;

    if (queue->running_count || queue->waiting)
        return platform_fail(platform, -EBUSY, "queue descriptor: contexts run already; call it before submitting");
    fd = descriptor_eventfd(EFD_NONBLOCK);
    if (fd < 0)
        return queue_fd_failed(platform, fd);
    /* Whoever waited last must not start anything any more. */
    ptrace_queue_disown(queue);
    /* It waits for the locks before it starts anything. */
    err = start_service(queue);
    if (err) {
        close(fd);
        return queue_fd_failed(platform, err);
    }
    atomic_store(&queue->fd, fd);
    /* Who came before has looked for it in vain. Pairs with ptrace_queue_wake() and ptrace_queue_signal_fd(). */
    if (atomic_load(&queue->woken) || !ptrace_queue_line_empty(queue, LINE_READY))
        ptrace_queue_signal_fd(queue);
    return 0;
}

int ptrace_queue_fd(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct ptrace_platform *pp = ptrace_platform(base->platform);
    int err = 0;

    if (atomic_load(&queue->fd) >= 0)
        return atomic_load(&queue->fd);
    if (!platform_is_ours(base->platform))
        return platform_refuse_fork(base->platform, "queue descriptor");
    pthread_mutex_lock(&pp->queues_lock);
    pthread_mutex_lock(&queue->lock);
    /* Another thread may have been here meanwhile. */
    if (atomic_load(&queue->fd) < 0)
        err = make_fd(queue);
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&pp->queues_lock);
    return err ? err : atomic_load(&queue->fd);
}
