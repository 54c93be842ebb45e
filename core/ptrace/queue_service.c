/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue with a descriptor: the library's own thread, the service, is the
 * owner, and whoever waits only takes ready events.
 */
#include <errno.h>
#include <signal.h>

#include "core/clock.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_run.h"
#include "core/ptrace/queue_service.h"
#include "core/ptrace/queue_turns.h"
#include "core/ptrace/tracer_thread.h"

#define PAUSE_NS 1000000 /* until what the host refused is tried again */

/* One pass of the service. An error of the host's is tried again a little later. */
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

    while (!(tracer = tracer_current(queue->base.platform)) && !atomic_load(&queue->base.stopping))
        clock_pause(PAUSE_NS);
    return tracer;
}

void ptrace_queue_serve(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct tracer *tracer = become_tracer(queue);

    queue->served = true;
    if (tracer)
        ptrace_queue_claim(queue, tracer);
    while (!atomic_load(&base->stopping))
        serve(queue);
}

int ptrace_queue_thread(pthread_t *thread, void *(*main)(void *arg), void *arg)
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
    err = pthread_create(thread, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

int ptrace_queue_hand_over(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct ptrace_platform *pp = ptrace_platform(base->platform);
    bool busy;

    pthread_mutex_lock(&pp->queues_lock);
    pthread_mutex_lock(&queue->lock);
    busy = queue->running_count;
    if (!busy)
        ptrace_queue_disown(queue);
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&pp->queues_lock);
    if (busy)
        return platform_fail(base->platform, -EBUSY,
                             "queue descriptor: contexts run already; call it before submitting");
    return 0;
}
