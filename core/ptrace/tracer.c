/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The host threads that trace. A thread becomes a tracer of a platform when it
 * first runs something there, and stops being one when it ends or when the
 * platform closes, whichever comes first; its stub threads then go back to
 * their subprocesses.
 *
 * Nothing here is shared by platforms or outlives them: a child that is forked
 * while other threads start and end finds nothing locked that it needs for a
 * platform of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/ptrace/ptrace_backend.h"
#include "core/ptrace/stub_clone.h"

/* A thread's tracers, one for each platform it uses, and those of closed platforms until it needs another one. */
struct thread_record {
    struct list tracers; /* tracer.of_thread; only the thread itself looks at it */
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

/* The tracer used last by this thread. It is in the thread's record, so it is there. */
static __thread struct tracer *last_used;

static void thread_ends(void *record);

static void create_key(void)
{
    key_error = pthread_key_create(&key, thread_ends);
}

void tracers_init(void)
{
    pthread_once(&key_once, create_key);
}

/* The destructor's code must not be called when the library has been unloaded. */
__attribute__((destructor)) static void delete_key(void)
{
    pthread_once(&key_once, create_key);
    if (!key_error)
        pthread_key_delete(key);
}

static struct thread_record *current_record(void)
{
    struct thread_record *record;

    tracers_init();
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

static void tracer_unref(struct tracer *tracer)
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
    tracers_init();
    record = key_error ? NULL : pthread_getspecific(key);
    return record ? find_in_record(record, platform) : NULL;
}

static void leave_record(struct tracer *tracer)
{
    if (last_used == tracer)
        last_used = NULL;
    list_remove(&tracer->of_thread);
    tracer_unref(tracer);
}

/* Those whose platforms were closed meanwhile. */
static void sweep_record(struct thread_record *record)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, &record->tracers)
    {
        struct tracer *tracer = container_of(node, struct tracer, of_thread);

        if (atomic_load(&tracer->ended))
            leave_record(tracer);
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
    tracer->process = platform->owner;
    tracer->serial = atomic_fetch_add(&pp->next_id, 1);
    atomic_store(&tracer->refs, 2);
    pthread_mutex_init(&tracer->lock, NULL);
    list_init(&tracer->queues);
    for (size_t i = 0; i < SEAT_BUCKETS; i++)
        list_init(&tracer->seats[i]);
    for (size_t i = 0; i < TID_BUCKETS; i++)
        list_init(&tracer->by_tid[i]);
    sweep_record(record);
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

/* ---- seats ---- */

static struct list *seat_bucket(struct tracer *tracer, const struct ptrace_subprocess *subprocess)
{
    return &tracer->seats[subprocess->id % SEAT_BUCKETS];
}

static struct list *tid_bucket(struct tracer *tracer, pid_t tid)
{
    return &tracer->by_tid[(uint32_t)tid % TID_BUCKETS];
}

static void free_seat(struct seat *seat)
{
    list_remove(&seat->node);
    ptrace_subprocess_release(seat->subprocess);
    free(seat);
}

/* Nothing of the subprocess is the tracer's any more; its threads' ids may be others' by now. */
static void empty_seat(struct tracer *tracer, struct seat *seat)
{
    struct ptrace_subprocess *subprocess = seat->subprocess;
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

/* Subprocesses that were destroyed elsewhere leave seats behind; this is when they are noticed. */
static void sweep_seats(struct tracer *tracer, struct list *bucket)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, bucket)
    {
        struct seat *seat = container_of(node, struct seat, node);

        if (!subprocess_is_shut(&seat->subprocess->base))
            continue;
        empty_seat(tracer, seat);
        free_seat(seat);
    }
}

static struct seat *find_seat(struct tracer *tracer, const struct ptrace_subprocess *subprocess)
{
    struct list *bucket = seat_bucket(tracer, subprocess);
    struct list *node;

    list_for_each(node, bucket)
    {
        struct seat *seat = container_of(node, struct seat, node);

        if (seat->subprocess == subprocess)
            return seat;
    }
    return NULL;
}

static struct seat *take_seat(struct tracer *tracer, struct ptrace_subprocess *subprocess)
{
    struct seat *seat = find_seat(tracer, subprocess);

    if (seat)
        return seat;
    sweep_seats(tracer, seat_bucket(tracer, subprocess));
    seat = calloc(1, sizeof(*seat));
    if (!seat)
        return NULL;
    seat->subprocess = subprocess;
    atomic_fetch_add(&subprocess->refs, 1);
    list_init(&seat->idle);
    list_add_first(seat_bucket(tracer, subprocess), &seat->node);
    return seat;
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
    tgi_arch.stub_add_cookie(&request.call, pp->cookie);
    err = stub_thread_inject(first, &request, &after);
    if (err)
        return err;
    tid = tgi_arch.stub_result(&after);
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
        return platform_fail(
            tracer->platform, err,
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
static struct stub_thread *choose_idle(struct tracer *tracer, struct seat *seat, const struct ptrace_context *context)
{
    struct stub_thread *thread = context ? tracer_by_tid(tracer, context->last_thread) : NULL;

    if (thread && thread->subprocess == seat->subprocess && thread->waiting.next != &thread->waiting)
        return thread;
    return container_of(seat->idle.next, struct stub_thread, waiting);
}

int tracer_acquire(struct tracer *tracer, struct ptrace_subprocess *subprocess, const struct ptrace_context *context,
                   struct stub_thread **out)
{
    struct seat *seat = take_seat(tracer, subprocess);
    struct stub_thread *thread;
    int err;

    if (!seat)
        return acquire_failed(tracer, -ENOMEM);
    if (atomic_load(&subprocess->death) != ALIVE)
        return -ESRCH;
    if (!list_empty(&seat->idle)) {
        *out = choose_idle(tracer, seat, context);
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

void tracer_release(struct stub_thread *thread)
{
    struct seat *seat = find_seat(atomic_load(&thread->tracer), thread->subprocess);

    if (atomic_load(&thread->reaped))
        list_remove(&thread->of_tid);
    else
        list_add_first(&seat->idle, &thread->waiting);
}

void tracer_save_fp(struct ptrace_subprocess *subprocess)
{
    struct tracer *tracer = tracer_find(subprocess->base.platform);
    struct seat *seat = tracer ? find_seat(tracer, subprocess) : NULL;
    struct list *node;

    if (!seat)
        return;
    list_for_each(node, &seat->idle) fp_evict(container_of(node, struct stub_thread, waiting));
}

/* ---- the end of a tracer ---- */

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

static void leave_seat(struct tracer *tracer, struct seat *seat)
{
    struct tg_subprocess *subprocess = &seat->subprocess->base;

    if (subprocess_enter(subprocess)) {
        while (!list_empty(&seat->idle))
            give_back(container_of(seat->idle.next, struct stub_thread, waiting));
        subprocess_leave(subprocess);
    }
    empty_seat(tracer, seat);
    free_seat(seat);
}

/* Only in the tracer's own thread, for only that may detach. */
static void hand_back(struct tracer *tracer)
{
    ptrace_queue_owner_ends(tracer);
    bell_close(tracer);
    for (size_t i = 0; i < SEAT_BUCKETS; i++) {
        while (!list_empty(&tracer->seats[i]))
            leave_seat(tracer, container_of(tracer->seats[i].next, struct seat, node));
    }
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

static void thread_ends(void *arg)
{
    struct thread_record *record = arg;

    while (!list_empty(&record->tracers)) {
        struct tracer *tracer = container_of(record->tracers.next, struct tracer, of_thread);

        /* In a forked child the lock may be held by a thread that is not there, and the stubs are not its own. */
        if (tracer->process == getpid())
            end_in_thread(tracer);
        leave_record(tracer);
    }
    free(record);
}

/* The platform closes: all subprocesses but the template are gone, and the template is next. Nothing to detach. */
static void forget(struct tracer *tracer)
{
    for (size_t i = 0; i < SEAT_BUCKETS; i++) {
        struct list *node;
        struct list *after;

        list_for_each_safe(node, after, &tracer->seats[i])
        {
            struct seat *seat = container_of(node, struct seat, node);

            empty_seat(tracer, seat);
            free_seat(seat);
        }
    }
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

    /* In a forked child the list may be in the middle of a change, and its lock taken for good. */
    if (!platform_is_ours(platform))
        return;
    while ((tracer = any_of_platform(ptrace_platform(platform)))) {
        pthread_mutex_lock(&tracer->lock);
        if (!atomic_load(&tracer->ended))
            forget(tracer);
        pthread_mutex_unlock(&tracer->lock);
        tracer_unref(tracer);
    }
}
