/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a tracer has: a pool for each subprocess that it uses, of the stub threads there that it traces. */
#include <errno.h>
#include <stdlib.h>

#include "core/ptrace/lazy_fp.h"
#include "core/ptrace/life.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/stub_clone.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_thread.h"
#include "core/subprocess_life.h"

static struct list *pool_bucket(struct tracer *tracer, const struct ptrace_subprocess *subprocess)
{
    return &tracer->pools[subprocess->id % POOL_BUCKETS];
}

static struct list *tid_bucket(struct tracer *tracer, pid_t tid)
{
    return &tracer->by_tid[(uint32_t)tid % TID_BUCKETS];
}

static void free_pool(struct tracer_pool *pool)
{
    list_remove(&pool->node);
    subprocess_release(&pool->subprocess->base);
    free(pool);
}

/* Nothing of the subprocess is the tracer's any more; its threads' ids may be others' by now. */
static void empty_pool(struct tracer *tracer, struct tracer_pool *pool)
{
    struct ptrace_subprocess *subprocess = pool->subprocess;
    struct list *node;

    pthread_mutex_lock(&subprocess->lock);
    list_for_each(node, &subprocess->threads)
    {
        struct stub_thread *thread = container_of(node, struct stub_thread, of_subprocess);

        if (atomic_load(&thread->tracer) != tracer)
            continue;
        list_remove(&thread->waiting);
        list_remove(&thread->of_tid);
    }
    pthread_mutex_unlock(&subprocess->lock);
}

/* Subprocesses that were destroyed elsewhere leave pools behind; this is when they are noticed. */
static void drop_dead_pools(struct tracer *tracer, struct list *bucket)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, bucket)
    {
        struct tracer_pool *pool = container_of(node, struct tracer_pool, node);

        if (!subprocess_is_shut(&pool->subprocess->base))
            continue;
        empty_pool(tracer, pool);
        free_pool(pool);
    }
}

static struct tracer_pool *find_pool(struct tracer *tracer, const struct ptrace_subprocess *subprocess)
{
    struct list *bucket = pool_bucket(tracer, subprocess);
    struct list *node;

    list_for_each(node, bucket)
    {
        struct tracer_pool *pool = container_of(node, struct tracer_pool, node);

        if (pool->subprocess == subprocess)
            return pool;
    }
    return NULL;
}

static struct tracer_pool *take_pool(struct tracer *tracer, struct ptrace_subprocess *subprocess)
{
    struct tracer_pool *pool = find_pool(tracer, subprocess);

    if (pool)
        return pool;
    drop_dead_pools(tracer, pool_bucket(tracer, subprocess));
    pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->subprocess = subprocess;
    subprocess_hold(&subprocess->base);
    list_init(&pool->idle);
    list_add_first(pool_bucket(tracer, subprocess), &pool->node);
    return pool;
}

struct stub_thread *tracer_by_tid(struct tracer *tracer, pid_t tid)
{
    struct list *bucket = tid_bucket(tracer, tid);
    struct list *node;

    list_for_each(node, bucket)
    {
        struct stub_thread *thread = container_of(node, struct stub_thread, of_tid);

        if (thread->tid == tid)
            return thread;
    }
    return NULL;
}

/* ---- stub threads ---- */

/* clone(2) in the subprocess's first thread; the child goes to the park loop by itself. */
static int clone_in(struct stub_thread *first, struct stub_thread **out)
{
    struct ptrace_subprocess *subprocess = first->subprocess;
    struct ptrace_platform *pp = ptrace_platform(subprocess->base.platform);
    struct arch_stub_request request = {.job = ARCH_STUB_CLONE_THREAD, .stub_start = pp->stub_start};
    tg_regs after;
    int64_t tid;
    int err;

    request.call.nr = tgi_arch.syscalls.clone;
    request.call.args[0] = STUB_CLONE_THREAD_FLAGS;
    tgi_arch_ptrace->stub_add_cookie(&request.call, pp->cookie);
    err = stub_thread_inject(first, &request, &after);
    if (err)
        return err;
    tid = tgi_arch_ptrace->stub_result(&after);
    if (tid < 0)
        return (int)tid;
    *out = stub_thread_new(subprocess, (pid_t)tid);
    if (!*out)
        return -ENOMEM;
    list_add_last(&subprocess->threads, &(*out)->of_subprocess);
    return 0;
}

/*
 * The first thread is the process, which the kernel lets nobody reap before
 * all its other threads: a tracer that waited for a dead one could wait for
 * ever. So it is attached to only for making others, and never runs a guest.
 */
static int make_thread(struct tracer *tracer, struct ptrace_subprocess *subprocess, struct stub_thread **out)
{
    struct stub_thread *first = container_of(subprocess->threads.next, struct stub_thread, of_subprocess);
    int err = stub_thread_attach(tracer, first);
    int parked;

    if (err)
        return err;
    placement_before_run(first);
    err = clone_in(first, out);
    placement_set_free(first);
    parked = err == -ESRCH ? 0 : stub_thread_park(first);
    return err ? err : parked;
}

/* A thread that nobody traces becomes the tracer's. */
static int attach_parked(struct tracer *tracer, struct ptrace_subprocess *subprocess, struct stub_thread **out)
{
    int err = 0;

    /* In a forked child of the embedder's: the stubs are not its own. */
    if (!platform_is_ours(tracer->platform))
        return -EPERM;
    if (list_empty(&subprocess->parked)) {
        err = make_thread(tracer, subprocess, out);
    } else {
        *out = container_of(subprocess->parked.next, struct stub_thread, waiting);
        list_remove(&(*out)->waiting);
    }
    if (err)
        return err;
    err = stub_thread_attach(tracer, *out);
    if (!err)
        err = stub_thread_unblock_signals(*out);
    /* One that could not be seized; others are dead by now. */
    if (err && !atomic_load(&(*out)->tracer))
        list_add_first(&subprocess->parked, &(*out)->waiting);
    return err;
}

static int acquire_failed(struct tracer *tracer, int err)
{
    switch (err) {
    case -ESRCH:
        return err;
    case -EPERM:
    case -EACCES:
    case -ENOSYS:
        return platform_fail(
            tracer->platform, -EPERM,
            "trace a stub thread: PTRACE_SEIZE is forbidden; allow ptrace(2) in the embedder's seccomp "
            "filter and keep Yama's ptrace_scope at most 1");
    case -EAGAIN:
        return platform_fail(tracer->platform, err,
                             "make a stub thread: the host refuses another one; raise RLIMIT_NPROC or the pids limit "
                             "of the cgroup");
    default:
        return platform_fail(tracer->platform, err == -ENOMEM ? err : -EIO, "make a stub thread: error %d", -err);
    }
}

/* The thread that may still hold the context's FP state, if it is idle here; else the one used last. */
static struct stub_thread *choose_idle(struct tracer *tracer, struct tracer_pool *pool,
                                       const struct ptrace_context *context)
{
    struct stub_thread *thread = context ? tracer_by_tid(tracer, context->last_thread) : NULL;

    if (thread && thread->subprocess == pool->subprocess && thread->waiting.next != &thread->waiting)
        return thread;
    return container_of(pool->idle.next, struct stub_thread, waiting);
}

int tracer_acquire(struct tracer *tracer, struct ptrace_subprocess *subprocess, const struct ptrace_context *context,
                   struct stub_thread **out)
{
    struct tracer_pool *pool = take_pool(tracer, subprocess);
    struct stub_thread *thread;
    int err;

    if (!pool)
        return acquire_failed(tracer, -ENOMEM);
    if (!subprocess_is_alive(&subprocess->base))
        return -ESRCH;
    if (!list_empty(&pool->idle)) {
        *out = choose_idle(tracer, pool, context);
        list_remove(&(*out)->waiting);
        return 0;
    }
    pthread_mutex_lock(&subprocess->lock);
    err = attach_parked(tracer, subprocess, &thread);
    pthread_mutex_unlock(&subprocess->lock);
    if (err)
        return acquire_failed(tracer, err);
    list_add_first(tid_bucket(tracer, thread->tid), &thread->of_tid);
    *out = thread;
    return 0;
}

int tracer_make_runner(struct tracer *tracer, struct ptrace_subprocess *subprocess)
{
    struct stub_thread *thread;
    int err;

    pthread_mutex_lock(&subprocess->lock);
    err = make_thread(tracer, subprocess, &thread);
    if (!err)
        list_add_first(&subprocess->parked, &thread->waiting);
    pthread_mutex_unlock(&subprocess->lock);
    return err;
}

void tracer_release(struct stub_thread *thread)
{
    struct tracer_pool *pool = find_pool(atomic_load(&thread->tracer), thread->subprocess);

    if (atomic_load(&thread->reaped))
        list_remove(&thread->of_tid);
    else
        list_add_first(&pool->idle, &thread->waiting);
}

void tracer_save_fp(struct ptrace_subprocess *subprocess)
{
    struct tracer *tracer = tracer_find(subprocess->base.platform);
    struct tracer_pool *pool = tracer ? find_pool(tracer, subprocess) : NULL;
    struct list *node;

    if (!pool)
        return;
    list_for_each(node, &pool->idle) fp_evict(container_of(node, struct stub_thread, waiting));
}

/* ---- when the tracer ends ---- */

static void give_back(struct stub_thread *thread)
{
    struct ptrace_subprocess *subprocess = thread->subprocess;

    list_remove(&thread->waiting);
    list_remove(&thread->of_tid);
    fp_evict(thread);
    if (atomic_load(&thread->reaped))
        return;
    placement_set_free(thread);
    if (stub_thread_park(thread))
        return;
    pthread_mutex_lock(&subprocess->lock);
    list_add_last(&subprocess->parked, &thread->waiting);
    pthread_mutex_unlock(&subprocess->lock);
}

static void leave_pool(struct tracer *tracer, struct tracer_pool *pool)
{
    struct tg_subprocess *subprocess = &pool->subprocess->base;

    if (subprocess_enter(subprocess)) {
        while (!list_empty(&pool->idle))
            give_back(container_of(pool->idle.next, struct stub_thread, waiting));
        subprocess_leave(subprocess);
    }
    empty_pool(tracer, pool);
    free_pool(pool);
}

void tracer_hand_back(struct tracer *tracer)
{
    for (size_t i = 0; i < POOL_BUCKETS; i++) {
        while (!list_empty(&tracer->pools[i]))
            leave_pool(tracer, container_of(tracer->pools[i].next, struct tracer_pool, node));
    }
}

void tracer_forget_pools(struct tracer *tracer)
{
    for (size_t i = 0; i < POOL_BUCKETS; i++) {
        struct list *node;
        struct list *after;

        list_for_each_safe(node, after, &tracer->pools[i])
        {
            struct tracer_pool *pool = container_of(node, struct tracer_pool, node);

            empty_pool(tracer, pool);
            free_pool(pool);
        }
    }
}
