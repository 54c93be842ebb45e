/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A tracer ends with its thread, or with the platform. Its stub threads go back to their subprocesses. */
#include <stdlib.h>
#include <unistd.h>

#include "core/ptrace/bell.h"
#include "core/ptrace/queue_ends.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_end.h"
#include "core/ptrace/tracer_thread.h"

/* Only in the tracer's own thread, for only that may detach. */
static void hand_back(struct tracer *tracer)
{
    ptrace_queue_owner_ends(tracer);
    bell_close(tracer);
    tracer_hand_back(tracer);
}

/* The platform has one tracer less, and may be closed from here on. tracer->lock is held. */
static void leave_platform(struct tracer *tracer)
{
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);

    atomic_store(&tracer->ended, true);
    pthread_mutex_lock(&pp->tracers_lock);
    list_remove(&tracer->of_platform);
    pthread_mutex_unlock(&pp->tracers_lock);
    tracer_unref(tracer);
}

/* Whoever closes the platform meanwhile waits for the lock. */
static void end_in_thread(struct tracer *tracer)
{
    pthread_mutex_lock(&tracer->lock);
    if (!atomic_load(&tracer->ended)) {
        hand_back(tracer);
        leave_platform(tracer);
    }
    pthread_mutex_unlock(&tracer->lock);
}

void tracers_thread_ends(void *arg)
{
    struct thread_record *record = arg;

    while (!list_empty(&record->tracers)) {
        struct tracer *tracer = container_of(record->tracers.next, struct tracer, of_thread);

        /* In a forked child the lock may be held by a thread that is not there, and the stubs are not its own. */
        if (tracer->process == getpid())
            end_in_thread(tracer);
        tracer_leave_thread(tracer);
    }
    free(record);
}

/* The platform closes: all subprocesses but the template are gone, and the template is next. Nothing to detach. */
static void forget(struct tracer *tracer)
{
    tracer_forget_pools(tracer);
    leave_platform(tracer);
}

static struct tracer *any_of_platform(struct ptrace_platform *pp)
{
    struct tracer *tracer = NULL;

    pthread_mutex_lock(&pp->tracers_lock);
    if (!list_empty(&pp->tracers)) {
        tracer = container_of(pp->tracers.next, struct tracer, of_platform);
        atomic_fetch_add(&tracer->refs, 1);
    }
    pthread_mutex_unlock(&pp->tracers_lock);
    return tracer;
}

void tracers_close(struct tg_platform *platform)
{
    struct tracer *tracer;

    while ((tracer = any_of_platform(ptrace_platform(platform)))) {
        pthread_mutex_lock(&tracer->lock);
        if (!atomic_load(&tracer->ended))
            forget(tracer);
        pthread_mutex_unlock(&tracer->lock);
        tracer_unref(tracer);
    }
}
