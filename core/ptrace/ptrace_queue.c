/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many contexts for one waiting thread. That thread is the tracer of what it
 * starts: it waits for the process group of the platform's stubs and sees its
 * own tracees only (__WNOTHREAD), never a child of the embedder's.
 *
 * A context is in one of three lists: incoming, running, ready. Only the
 * owner starts and stops contexts; others may add to incoming, and destroy
 * may move from running to ready what has died.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/event.h"
#include "core/ptrace/ptrace_backend.h"

#define RUNNING_MAX 64       /* stub threads that a queue keeps busy; more contexts take turns */
#define SLICE_NS    10000000 /* a turn, when others wait */
#define NEVER       INT64_MAX

static struct ptrace_context *context_of(struct list *node)
{
    return container_of(node, struct ptrace_context, of_queue);
}

int ptrace_queue_create(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);

    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->incoming);
    list_init(&queue->running);
    list_init(&queue->ready);
    list_init(&queue->of_owner);
    queue->fd = -1;
    return 0;
}

/* ---- moving contexts between the lists; queue->lock is held ---- */

static void signal_fd(const struct ptrace_queue *queue)
{
    const uint64_t one = 1;

    if (queue->fd >= 0 && write(queue->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        return; /* it is ours and open: nothing else can happen */
}

static void make_ready(struct ptrace_queue *queue, struct ptrace_context *context)
{
    context->thread = NULL;
    list_remove(&context->of_queue);
    list_add_last(&queue->ready, &context->of_queue);
    signal_fd(queue);
}

static void make_running(struct ptrace_queue *queue, struct ptrace_context *context, struct stub_thread *thread)
{
    context->thread = thread;
    context->preempt = false;
    context->started_ns = monotonic_ns();
    list_remove(&context->of_queue);
    list_add_last(&queue->running, &context->of_queue);
    queue->running_count++;
}

static struct stub_thread *take_off_thread(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct stub_thread *thread = context->thread;

    context->thread = NULL;
    queue->running_count--;
    return thread;
}

/* ---- the owner: starting ---- */

/* Runs it, or makes its event ready at once. An error leaves it where it is. */
static int start_one(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct tracer *tracer = queue->owner;
    struct stub_thread *thread;
    int err;

    interrupt_disarm(&context->base.interrupt);
    err = tracer_acquire(tracer, context->subprocess, context, &thread);
    if (err == -ESRCH) {
        run_event_dead(context, context->subprocess, &context->event);
        make_ready(queue, context);
        return 0;
    }
    if (err)
        return err;
    err = run_start(context, thread, &context->event);
    if (!err) {
        make_running(queue, context, thread);
        return 0;
    }
    tracer_release(thread);
    if (err < 0)
        return err;
    make_ready(queue, context);
    return 0;
}

/* A context that cannot be started must not stop the others: its registers are to blame, or its stub. */
static int start_incoming(struct ptrace_queue *queue)
{
    while (!list_empty(&queue->incoming) && queue->running_count < RUNNING_MAX) {
        struct ptrace_context *context = context_of(queue->incoming.next);
        int err = start_one(queue, context);

        if (!err)
            continue;
        if (queue->running_count && (err == -EAGAIN || err == -ENOMEM))
            return 0; /* when one of the others stops, its stub thread is free */
        if (err != -EINVAL && err != -EBUSY)
            return err;
        event_dead(&context->event, &context->base, TG_DEAD_CORRUPT, -err);
        make_ready(queue, context);
    }
    return 0;
}

/* Interrupted before their turn has come. */
static void finish_interrupted(struct ptrace_queue *queue)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, &queue->incoming)
    {
        struct ptrace_context *context = context_of(node);

        if (!interrupt_pending(&context->base.interrupt))
            continue;
        interrupt_disarm(&context->base.interrupt);
        interrupt_take(&context->base.interrupt);
        context->base.in_syscall = false;
        count(queue->base.platform, COUNTER_INTERRUPTS);
        event_begin(&context->event, &context->base, TG_EVENT_INTERRUPTED);
        make_ready(queue, context);
    }
}

/* While they wait for their turn, an interrupt rings the bell. */
static void arm_incoming(struct ptrace_queue *queue)
{
    pid_t process = ptrace_platform(queue->base.platform)->template.group;
    struct list *node;

    list_for_each(node, &queue->incoming)
    {
        struct interrupt *interrupt = &context_of(node)->base.interrupt;

        interrupt_arm_waiting(interrupt, process, atomic_load(&queue->bell));
        /* Raised before it could see the bell. */
        if (interrupt_pending(interrupt))
            bell_ring(queue->base.platform, atomic_load(&queue->bell));
    }
}

/* ---- the owner: stopping ---- */

static void set_aside(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct stub_thread *thread = take_off_thread(queue, context);

    count(queue->base.platform, COUNTER_PREEMPTIONS);
    if (run_set_aside(context, thread)) {
        run_event_dead(context, context->subprocess, &context->event);
        make_ready(queue, context);
    } else {
        list_remove(&context->of_queue);
        list_add_last(&queue->incoming, &context->of_queue);
    }
    tracer_release(thread);
}

static bool is_kick(int status)
{
    return !stub_status_is_death(status) && status >> 16 == 0 && WSTOPSIG(status) == INTERRUPT_KICK_SIGNAL;
}

static struct ptrace_context *find_running(struct ptrace_queue *queue, const struct stub_thread *thread)
{
    struct list *node;

    list_for_each(node, &queue->running)
    {
        if (context_of(node)->thread == thread)
            return context_of(node);
    }
    return NULL;
}

/* False: nothing of this queue's runs on the thread, or not any more. */
static bool context_stopped(struct ptrace_queue *queue, struct stub_thread *thread, int status)
{
    struct ptrace_context *context;

    pthread_mutex_lock(&queue->lock);
    context = find_running(queue, thread);
    if (context && context->preempt && is_kick(status) && !interrupt_pending(&context->base.interrupt)) {
        set_aside(queue, context);
    } else if (context && run_stopped(context, thread, status, &context->event) == RUN_EVENT) {
        placement_note_run(thread, context->started_ns);
        take_off_thread(queue, context);
        make_ready(queue, context);
        tracer_release(thread);
    }
    pthread_mutex_unlock(&queue->lock);
    return context;
}

/* The thread waits on one queue and meets what runs in another one of its own. */
static bool context_of_others_stopped(struct tracer *tracer, struct stub_thread *thread, int status)
{
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);
    struct list *node;
    bool found = false;

    pthread_mutex_lock(&pp->queues_lock);
    list_for_each(node, &tracer->queues)
    {
        found = context_stopped(container_of(node, struct ptrace_queue, of_owner), thread, status);
        if (found)
            break;
    }
    pthread_mutex_unlock(&pp->queues_lock);
    return found;
}

static void tracee_stopped(struct ptrace_queue *queue, pid_t tid, int status)
{
    struct tracer *tracer = queue->owner;
    struct stub_thread *thread = tracer_by_tid(tracer, tid);

    if (!thread)
        return;
    if (thread == tracer->bell.thread)
        bell_rang(tracer, status);
    else if (!context_stopped(queue, thread, status) && !context_of_others_stopped(tracer, thread, status) &&
             stub_status_is_death(status))
        stub_thread_died(thread, status);
}

static bool has_ready(struct ptrace_queue *queue)
{
    bool ready;

    pthread_mutex_lock(&queue->lock);
    ready = !list_empty(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
    return ready;
}

static bool anything_running(struct ptrace_queue *queue)
{
    bool running;

    pthread_mutex_lock(&queue->lock);
    running = queue->running_count != 0;
    pthread_mutex_unlock(&queue->lock);
    return running;
}

static bool collect_one(struct ptrace_queue *queue, int options)
{
    pid_t group = ptrace_platform(queue->base.platform)->template.group;
    int status;
    pid_t tid = waitpid(-group, &status, options | __WALL | __WNOTHREAD);

    if (tid <= 0)
        return false;
    tracee_stopped(queue, tid, status);
    return true;
}

static void collect(struct ptrace_queue *queue)
{
    while (anything_running(queue) && collect_one(queue, WNOHANG))
        continue;
}

/* ---- the owner: waiting ---- */

/* Placed stub threads run while this thread gives way. */
static void collect_yielding(struct ptrace_queue *queue)
{
    int64_t started = monotonic_ns();

    while (!has_ready(queue) && placement_yield(queue->owner, started))
        collect(queue);
}

/* Those that still run compute: they may go elsewhere. With others waiting, a turn ends. Returns when the next does. */
static int64_t settle_running(struct ptrace_queue *queue)
{
    int64_t now = monotonic_ns();
    int64_t next = NEVER;
    bool crowded = !list_empty(&queue->incoming);
    struct list *node;

    list_for_each(node, &queue->running)
    {
        struct ptrace_context *context = context_of(node);
        struct stub_thread *thread = context->thread;

        placement_set_free(thread);
        thread->long_run = true;
        if (!crowded)
            continue;
        if (now - context->started_ns < SLICE_NS) {
            if (context->started_ns + SLICE_NS < next)
                next = context->started_ns + SLICE_NS;
        } else if (!context->preempt) {
            context->preempt = true;
            syscall(SYS_tgkill, atomic_load(&context->subprocess->base.pid), thread->tid, INTERRUPT_KICK_SIGNAL);
        }
    }
    return next;
}

/* Is there something to do before sleeping? A service leaves ready events to others. */
static bool has_work(struct ptrace_queue *queue)
{
    bool for_others = queue->fd >= 0;

    if (queue->running_count < RUNNING_MAX && !list_empty(&queue->incoming))
        return true;
    if (for_others)
        return atomic_load(&queue->stopping);
    return !list_empty(&queue->ready) || atomic_load(&queue->woken);
}

/* Asleep until a tracee stops; submit, interrupt and wake ring the bell. */
static int sleep_once(struct ptrace_queue *queue, int64_t until_ns)
{
    struct tracer *tracer = queue->owner;
    int64_t slice_end;
    int err = bell_prepare(tracer);

    if (err)
        return err;
    pthread_mutex_lock(&queue->lock);
    atomic_store(&queue->bell, tracer->bell.thread->tid);
    slice_end = settle_running(queue);
    finish_interrupted(queue);
    arm_incoming(queue);
    /* Whoever comes from here on sees the bell and rings it. */
    if (has_work(queue))
        slice_end = 0;
    pthread_mutex_unlock(&queue->lock);
    if (slice_end) {
        err = bell_arm(tracer, slice_end < until_ns ? slice_end : until_ns);
        if (!err)
            collect_one(queue, 0);
    }
    atomic_store(&queue->bell, 0);
    return err;
}

/* One round: start, collect, and if nothing came of it, wait. */
static int pump(struct ptrace_queue *queue, int64_t until_ns)
{
    int err;

    pthread_mutex_lock(&queue->lock);
    finish_interrupted(queue);
    err = start_incoming(queue);
    pthread_mutex_unlock(&queue->lock);
    if (err)
        return err;
    if (!has_ready(queue) && anything_running(queue) && until_ns)
        collect_yielding(queue);
    collect(queue);
    if (has_ready(queue) || !until_ns || atomic_load(&queue->woken))
        return 0;
    return sleep_once(queue, until_ns);
}

static int claim(struct ptrace_queue *queue, struct tracer *tracer)
{
    struct tg_platform *platform = queue->base.platform;
    struct ptrace_platform *pp = ptrace_platform(platform);
    int err = 0;

    pthread_mutex_lock(&pp->queues_lock);
    pthread_mutex_lock(&queue->lock);
    if (queue->owner && queue->owner != tracer && queue->running_count) {
        err = platform_fail(platform, -EBUSY,
                            "wait on a queue: contexts run under the thread that waited before; wait there, or call "
                            "tg_queue_fd() before the first submit");
    } else if (queue->owner != tracer) {
        queue->owner = tracer;
        list_remove(&queue->of_owner);
        list_add_last(&tracer->queues, &queue->of_owner);
    }
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&pp->queues_lock);
    return err;
}

/* queues_lock and queue->lock are held. */
static void disown(struct ptrace_queue *queue)
{
    queue->owner = NULL;
    list_remove(&queue->of_owner);
}

/* ---- handing out ---- */

static size_t hand_out(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity)
{
    size_t n = 0;

    pthread_mutex_lock(&queue->lock);
    while (n < capacity && !list_empty(&queue->ready)) {
        struct ptrace_context *context = context_of(queue->ready.next);
        struct ptrace_subprocess *subprocess = context->subprocess;

        list_remove(&context->of_queue);
        event_store(events + n++ * stride, stride, &context->event);
        context->queue = NULL;
        context_give_back(&context->base);
        if (subprocess)
            subprocess_leave(&subprocess->base);
    }
    pthread_mutex_unlock(&queue->lock);
    return n;
}

static int wait_as_owner(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity, int64_t until_ns,
                         size_t *n)
{
    struct tracer *tracer = tracer_current(queue->base.platform);
    int err;

    if (!tracer)
        return platform_fail(queue->base.platform, -ENOMEM, "wait on a queue: no memory");
    err = claim(queue, tracer);
    while (!err) {
        *n = hand_out(queue, events, stride, capacity);
        if (*n)
            break;
        err = pump(queue, until_ns);
        if (err)
            break;
        *n = hand_out(queue, events, stride, capacity);
        if (*n || atomic_exchange(&queue->woken, false) || (until_ns != NEVER && monotonic_ns() >= until_ns))
            break;
    }
    return err;
}

/* ---- with a descriptor: the library's thread is the owner ---- */

static void drain_fd(struct ptrace_queue *queue)
{
    uint64_t count;

    pthread_mutex_lock(&queue->lock);
    if (list_empty(&queue->ready) && read(queue->fd, &count, sizeof(count)) < 0)
        errno = 0; /* it was not readable: fine */
    pthread_mutex_unlock(&queue->lock);
}

static int wait_on_fd(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity, int64_t until_ns,
                      size_t *n)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = queue->fd, .events = POLLIN};
        struct timespec left = {0};

        *n = hand_out(queue, events, stride, capacity);
        drain_fd(queue);
        if (*n || atomic_exchange(&queue->woken, false))
            return 0;
        if (until_ns != NEVER) {
            int64_t ns = until_ns - monotonic_ns();

            if (ns <= 0)
                return 0;
            left.tv_sec = ns / 1000000000;
            left.tv_nsec = ns % 1000000000;
        }
        ppoll(&poll_fd, 1, until_ns == NEVER ? NULL : &left, NULL);
    }
}

/* One round of the service. An error of the host's is tried again a little later. */
static void serve(struct ptrace_queue *queue)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int err;

    pthread_mutex_lock(&queue->lock);
    finish_interrupted(queue);
    err = start_incoming(queue);
    pthread_mutex_unlock(&queue->lock);
    collect(queue);
    if (!err)
        err = sleep_once(queue, NEVER);
    if (err)
        nanosleep(&pause, NULL);
}

static void *service_main(void *arg)
{
    struct ptrace_queue *queue = arg;
    struct tracer *tracer = tracer_current(queue->base.platform);

    if (tracer)
        claim(queue, tracer);
    while (tracer && !atomic_load(&queue->stopping))
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

int ptrace_queue_fd(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    int err = 0;

    pthread_mutex_lock(&queue->lock);
    if (queue->fd < 0 && (queue->running_count || queue->waiting))
        err =
            platform_fail(base->platform, -EBUSY, "queue descriptor: contexts run already; call it before submitting");
    if (!err && queue->fd < 0) {
        queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (queue->fd < 0)
            err = platform_fail(base->platform, errno == EMFILE || errno == ENFILE ? -EMFILE : -ENOMEM,
                                "queue descriptor: eventfd: %s", strerror(errno));
        else
            err = start_service(queue);
        if (err && queue->fd >= 0) {
            platform_fail(base->platform, err, "queue descriptor: start a thread: %s", strerror(-err));
            close(queue->fd);
            queue->fd = -1;
        }
    }
    if (!err && !list_empty(&queue->ready))
        signal_fd(queue);
    pthread_mutex_unlock(&queue->lock);
    return err ? err : queue->fd;
}

/* ---- the public operations ---- */

int ptrace_queue_submit(struct tg_queue *base, struct tg_context *base_context, struct tg_subprocess *subprocess)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    struct ptrace_context *context = to_ptrace_context(base_context);
    const struct tracer *tracer = tracer_find(base->platform);
    int err = 0;

    /* The door is passed again by whoever takes the event. */
    context->subprocess = to_ptrace_subprocess(subprocess);
    context->queue = queue;
    list_init(&context->of_queue);
    pthread_mutex_lock(&queue->lock);
    list_add_last(&queue->incoming, &context->of_queue);
    if (tracer && tracer == queue->owner)
        err = start_incoming(queue);
    else if (atomic_load(&queue->bell))
        bell_ring(base->platform, atomic_load(&queue->bell));
    pthread_mutex_unlock(&queue->lock);
    /* It stays submitted: the wait tries again, and reports what it meets. */
    (void)err;
    return 0;
}

int ptrace_queue_wait(struct tg_queue *base, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *count)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    int64_t until = NEVER;
    bool busy;
    int err;

    if (timeout_ns == 0)
        until = 0;
    else if (timeout_ns > 0 && timeout_ns < NEVER - monotonic_ns())
        until = monotonic_ns() + timeout_ns;
    pthread_mutex_lock(&queue->lock);
    busy = queue->waiting;
    queue->waiting = true;
    pthread_mutex_unlock(&queue->lock);
    if (busy)
        return platform_fail(base->platform, -EBUSY, "wait on a queue: another thread waits on it");
    err = queue->fd >= 0 ? wait_on_fd(queue, events, stride, capacity, until, count)
                         : wait_as_owner(queue, events, stride, capacity, until, count);
    pthread_mutex_lock(&queue->lock);
    queue->waiting = false;
    pthread_mutex_unlock(&queue->lock);
    return err;
}

int ptrace_queue_wake(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);
    pid_t bell;
    int saved_errno = errno;

    atomic_store(&queue->woken, true);
    signal_fd(queue);
    bell = atomic_load(&queue->bell);
    if (bell)
        bell_ring(base->platform, bell);
    errno = saved_errno;
    return 0;
}

/* ---- ends ---- */

/* queues_lock and queue->lock are held. */
static void stop_own(struct ptrace_queue *queue)
{
    while (!list_empty(&queue->running)) {
        struct ptrace_context *context = context_of(queue->running.next);

        if (stub_thread_stop(context->thread)) {
            struct stub_thread *thread = take_off_thread(queue, context);

            interrupt_disarm(&context->base.interrupt);
            fp_forget_thread(thread);
            run_event_dead(context, context->subprocess, &context->event);
            make_ready(queue, context);
            tracer_release(thread);
        } else {
            set_aside(queue, context);
        }
    }
    disown(queue);
}

void ptrace_queue_owner_ends(struct tracer *tracer)
{
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);

    pthread_mutex_lock(&pp->queues_lock);
    while (!list_empty(&tracer->queues)) {
        struct ptrace_queue *queue = container_of(tracer->queues.next, struct ptrace_queue, of_owner);

        pthread_mutex_lock(&queue->lock);
        stop_own(queue);
        pthread_mutex_unlock(&queue->lock);
    }
    pthread_mutex_unlock(&pp->queues_lock);
}

static void finish_destroyed(struct ptrace_queue *queue, struct ptrace_subprocess *subprocess, struct list *from)
{
    struct list *node;
    struct list *after;

    list_for_each_safe(node, after, from)
    {
        struct ptrace_context *context = context_of(node);

        if (context->subprocess != subprocess)
            continue;
        interrupt_disarm(&context->base.interrupt);
        if (context->thread)
            fp_forget_thread(take_off_thread(queue, context));
        run_event_dead(context, subprocess, &context->event);
        make_ready(queue, context);
    }
}

/* Their visit ends now, not when the event is taken: destroy waits for it. */
static void leave_for_ready(struct ptrace_queue *queue, struct ptrace_subprocess *subprocess)
{
    struct list *node;

    list_for_each(node, &queue->ready)
    {
        struct ptrace_context *context = context_of(node);

        if (context->subprocess == subprocess) {
            context->subprocess = NULL;
            subprocess_leave(&subprocess->base);
        }
    }
}

void ptrace_queue_subprocess_dead(struct ptrace_subprocess *subprocess)
{
    struct tg_platform *platform = subprocess->base.platform;
    struct list *node;

    pthread_mutex_lock(&platform->lock);
    list_for_each(node, &platform->queues)
    {
        struct ptrace_queue *queue = to_ptrace_queue(container_of(node, struct tg_queue, node));

        pthread_mutex_lock(&queue->lock);
        finish_destroyed(queue, subprocess, &queue->incoming);
        finish_destroyed(queue, subprocess, &queue->running);
        leave_for_ready(queue, subprocess);
        if (atomic_load(&queue->bell))
            bell_ring(platform, atomic_load(&queue->bell));
        pthread_mutex_unlock(&queue->lock);
    }
    pthread_mutex_unlock(&platform->lock);
}

/* Contexts that run under another thread cannot be stopped from here: their stubs have to go. */
static void kill_foreign(struct ptrace_queue *queue)
{
    struct list *node;

    list_for_each(node, &queue->running) ptrace_subprocess_die(context_of(node)->subprocess, TG_DEAD_DESTROYED, 0);
    while (!list_empty(&queue->running)) {
        struct ptrace_context *context = context_of(queue->running.next);

        interrupt_disarm(&context->base.interrupt);
        fp_forget_thread(take_off_thread(queue, context));
        make_ready(queue, context);
    }
    disown(queue);
}

static void stop_running(struct ptrace_queue *queue)
{
    struct ptrace_platform *pp = ptrace_platform(queue->base.platform);

    pthread_mutex_lock(&pp->queues_lock);
    pthread_mutex_lock(&queue->lock);
    if (queue->owner && queue->owner == tracer_find(queue->base.platform))
        stop_own(queue);
    else
        kill_foreign(queue);
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&pp->queues_lock);
}

static void let_go(struct list *contexts)
{
    while (!list_empty(contexts)) {
        struct ptrace_context *context = context_of(contexts->next);
        struct ptrace_subprocess *subprocess = context->subprocess;

        list_remove(&context->of_queue);
        interrupt_disarm(&context->base.interrupt);
        context->queue = NULL;
        context_give_back(&context->base);
        if (subprocess)
            subprocess_leave(&subprocess->base);
    }
}

void ptrace_queue_destroy(struct tg_queue *base)
{
    struct ptrace_queue *queue = to_ptrace_queue(base);

    if (queue->fd >= 0) {
        atomic_store(&queue->stopping, true);
        ptrace_queue_wake(base);
        pthread_join(queue->service, NULL);
        close(queue->fd);
        queue->fd = -1;
    }
    stop_running(queue);
    let_go(&queue->incoming);
    let_go(&queue->ready);
    pthread_mutex_destroy(&queue->lock);
}
