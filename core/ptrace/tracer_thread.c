/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The host threads that trace. A thread becomes a tracer of a platform when it
 * first runs something there, and stops being one when it ends or when the
 * platform closes, whichever comes first: tracer_end.c.
 *
 * Nothing here is shared by platforms or outlives them: a child that is forked
 * while other threads start and end finds nothing locked that it needs for a
 * platform of its own.
 */
#include <stdlib.h>

#include "core/ptrace/tracer_thread.h"

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;
static _Atomic(void (*)(void *record)) thread_ends; /* the same at each opening, perhaps of two at once */

/* The tracer used last by this thread. It is in the thread's record, so it is there. */
static __thread struct tracer *last_used;

static void create_key(void)
{
    key_error = pthread_key_create(&key, atomic_load(&thread_ends));
}

/* Whoever has a platform has been here before; the first call decides. */
static void make_key(void)
{
    pthread_once(&key_once, create_key);
}

void tracers_init(void (*ends)(void *record))
{
    atomic_store(&thread_ends, ends);
    make_key();
}

/* The destructor's code must not be called when the library has been unloaded. */
__attribute__((destructor)) static void delete_key(void)
{
    make_key();
    if (!key_error)
        pthread_key_delete(key);
}

static struct thread_record *current_record(void)
{
    struct thread_record *record;

    make_key();
    if (key_error)
        return NULL;
    record = pthread_getspecific(key);
    if (record)
        return record;
    record = malloc(sizeof(*record));
    if (!record)
        return NULL;
    list_init(&record->tracers);
    if (pthread_setspecific(key, record)) {
        free(record);
        return NULL;
    }
    return record;
}

void tracer_unref(struct tracer *tracer)
{
    if (atomic_fetch_sub(&tracer->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&tracer->lock);
    free(tracer);
}

/* An ended tracer may have the id of a platform that is being opened: each try to place the template ends some. */
static bool is_tracer_of(const struct tracer *tracer, const struct tg_platform *platform)
{
    return tracer->platform_id == platform->id && !atomic_load(&tracer->ended);
}

static struct tracer *find_in_record(struct thread_record *record, const struct tg_platform *platform)
{
    struct list *node;

    list_for_each(node, &record->tracers)
    {
        struct tracer *tracer = container_of(node, struct tracer, of_thread);

        if (is_tracer_of(tracer, platform))
            return tracer;
    }
    return NULL;
}

struct tracer *tracer_find(const struct tg_platform *platform)
{
    struct thread_record *record;

    if (last_used && is_tracer_of(last_used, platform))
        return last_used;
    make_key();
    record = key_error ? NULL : pthread_getspecific(key);
    return record ? find_in_record(record, platform) : NULL;
}

void tracer_leave_thread(struct tracer *tracer)
{
    if (last_used == tracer)
        last_used = NULL;
    list_remove(&tracer->of_thread);
    tracer_unref(tracer);
}

/* Those whose platforms were closed meanwhile. */
static void drop_closed_tracers(struct thread_record *record)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, &record->tracers)
    {
        struct tracer *tracer = container_of(node, struct tracer, of_thread);

        if (atomic_load(&tracer->ended))
            tracer_leave_thread(tracer);
    }
}

static struct tracer *tracer_new(struct tg_platform *platform, struct thread_record *record)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    struct tracer *tracer = calloc(1, sizeof(*tracer));

    if (!tracer)
        return NULL;
    tracer->platform = platform;
    tracer->platform_id = platform->id;
    tracer->process = platform->embedder;
    tracer->serial = atomic_fetch_add(&pp->next_id, 1);
    atomic_store(&tracer->refs, 2);
    pthread_mutex_init(&tracer->lock, NULL);
    list_init(&tracer->queues);
    for (size_t i = 0; i < POOL_BUCKETS; i++)
        list_init(&tracer->pools[i]);
    for (size_t i = 0; i < TID_BUCKETS; i++)
        list_init(&tracer->by_tid[i]);
    drop_closed_tracers(record);
    list_add_last(&record->tracers, &tracer->of_thread);
    pthread_mutex_lock(&pp->tracers_lock);
    list_add_last(&pp->tracers, &tracer->of_platform);
    pthread_mutex_unlock(&pp->tracers_lock);
    return tracer;
}

struct tracer *tracer_current(struct tg_platform *platform)
{
    struct thread_record *record;
    struct tracer *tracer = tracer_find(platform);

    if (!tracer) {
        record = current_record();
        tracer = record ? tracer_new(platform, record) : NULL;
    }
    if (tracer)
        last_used = tracer;
    return tracer;
}
