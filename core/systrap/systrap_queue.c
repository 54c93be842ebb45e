/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Queues: many contexts for one waiting thread. Workers push the numbers of
 * slots with events into their subprocess's done ring; the waiter looks at the
 * rings of the subprocesses in which contexts of its queue run, its seats.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/event.h"
#include "core/quiet_thread.h"
#include "core/systrap/spinning.h"
#include "core/systrap/systrap_backend.h"
#include "core/systrap/watchdog.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define WAITV_32    2
#define WAITV_MAX   128
#define POLL_NS     (1000 * 1000) /* where one sleep cannot cover all words */
#define DRAIN_MAX   64
#define QUICK_LOOKS 128
#define STOP_NS     (2 * NS_PER_SECOND)

/* What futex_waitv(2) takes. */
struct waitv {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

/* Where events go: to the caller's array, or to the ready list. */
struct sink {
    char *next; /* NULL: the ready list */
    size_t stride;
    size_t left;
    size_t count;
};

static void put_event(struct sink *sink, const struct tg_event *event)
{
    event_store(sink->next, sink->stride, event);
    sink->next += sink->stride;
    sink->left--;
    sink->count++;
}

static void end_wait(struct systrap_queue *queue)
{
    SHARED_ADD(queue->word, 1);
    shared_futex_wake(&queue->word);
}

static void ring_fd(const struct systrap_queue *queue)
{
    const uint64_t one = 1;

    while (queue->fd >= 0 && write(queue->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

int systrap_queue_wake(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    int saved_errno = errno;

    atomic_store(&queue->woken, true);
    end_wait(queue);
    ring_fd(queue);
    errno = saved_errno;
    return 0;
}

/* ---- seats ---- */

static void release_seat(struct seat *seat)
{
    if (atomic_fetch_sub(&seat->refs, 1) != 1)
        return;
    systrap_subprocess_release(seat->subprocess);
    free(seat);
}

/* lock is held. */
static struct seat *find_seat(struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    struct seat *seat;

    for (seat = queue->seats; seat; seat = seat->next) {
        if (seat->subprocess == subprocess)
            return seat;
    }
    seat = calloc(1, sizeof(*seat));
    if (!seat)
        return NULL;
    seat->subprocess = subprocess;
    seat->queue_id = queue->id;
    atomic_store(&seat->refs, 1);
    atomic_fetch_add(&subprocess->refs, 1);
    atomic_store(&seat->next, atomic_load(&queue->seats));
    atomic_store(&queue->seats, seat);
    return seat;
}

void systrap_queue_leave_seat(struct systrap_context *context)
{
    if (context->seat)
        release_seat(context->seat);
    context->seat = NULL;
}

/* A context keeps its seat for the next time. One of a dead subprocess may be in no list any more: nothing runs there.
 */
static struct seat *take_seat(struct systrap_queue *queue, struct systrap_context *context,
                              struct systrap_subprocess *subprocess)
{
    struct seat *seat = context->seat;

    if (!seat || seat->queue_id != queue->id || seat->subprocess != subprocess) {
        systrap_queue_leave_seat(context);
        pthread_mutex_lock(&queue->lock);
        seat = find_seat(queue, subprocess);
        if (seat)
            atomic_fetch_add(&seat->refs, 1);
        pthread_mutex_unlock(&queue->lock);
        context->seat = seat;
    }
    if (seat)
        atomic_fetch_add(&seat->running, 1);
    return seat;
}

/*
 * By the collecting thread; lock is held. Those that nobody uses, of the dead
 * or of all. Death is looked at first: who takes a seat counts itself and then
 * looks at that, so that one of the two sees the other.
 */
static void remove_seats(struct systrap_queue *queue, bool all)
{
    struct seat *_Atomic *link = &queue->seats;

    while (*link) {
        struct seat *seat = *link;

        if (!(all || systrap_is_dead(seat->subprocess)) || atomic_load(&seat->running)) {
            link = &seat->next;
            continue;
        }
        atomic_store(link, atomic_load(&seat->next));
        release_seat(seat);
    }
}

static bool anything_runs(const struct systrap_queue *queue)
{
    for (struct seat *seat = queue->seats; seat; seat = seat->next) {
        if (atomic_load(&seat->running))
            return true;
    }
    return false;
}

/* ---- events ---- */

/* The context is the embedder's again. */
static void finish(struct systrap_context *context)
{
    atomic_fetch_sub(&context->seat->running, 1);
    context->queue = NULL;
    context_give_back(&context->base);
}

/* The event is written in the context. */
static void make_ready(struct systrap_context *context)
{
    struct systrap_queue *queue = context->queue;

    pthread_mutex_lock(&queue->lock);
    list_add_last(&queue->ready, &context->of_queue);
    atomic_fetch_add(&queue->ready_count, 1);
    pthread_mutex_unlock(&queue->lock);
    if (queue->fd >= 0)
        ring_fd(queue);
    else
        end_wait(queue);
}

static void take_ready(struct systrap_queue *queue, struct sink *sink)
{
    if (!atomic_load(&queue->ready_count))
        return;
    pthread_mutex_lock(&queue->lock);
    while (sink->left && !list_empty(&queue->ready)) {
        struct systrap_context *context = container_of(queue->ready.next, struct systrap_context, of_queue);

        list_remove(&context->of_queue);
        atomic_fetch_sub(&queue->ready_count, 1);
        put_event(sink, &context->event);
        finish(context);
    }
    pthread_mutex_unlock(&queue->lock);
}

/* A context whose in_flight the caller has cleared: its event goes where its queue's events go. */
static void deliver(struct systrap_context *context, struct systrap_queue *queue, struct sink *sink)
{
    /* Not the context's own: a thousand of them would not stay in the cache. */
    struct tg_event event;

    if (!systrap_left_something(context)) {
        systrap_lost(context, &event);
    } else if (!systrap_collect(context, &event)) {
        atomic_store(&context->in_flight, true);
        systrap_run_again(context);
        return;
    }
    subprocess_leave(&context->seat->subprocess->base);
    if (context->queue == queue && sink->next && sink->left) {
        put_event(sink, &event);
        finish(context);
    } else {
        sink->count += context->queue == queue;
        context->event = event;
        make_ready(context);
    }
}

/* lock is held. A slot's number plus one from the ring, 0: none. */
static uint32_t pop_done(struct systrap_subprocess *subprocess, unsigned int ring)
{
    struct systrap_control *control = control_of(subprocess);
    uint32_t position = subprocess->done_head[ring];
    uint32_t *entry =
        ring == 0 ? &control->done_small[position % RING_SMALL] : &control->done_large[position % RING_LARGE];
    uint32_t number = SHARED_LOAD(*entry);

    if (number) {
        SHARED_STORE(*entry, 0);
        atomic_store_explicit(&subprocess->done_head[ring], position + 1, memory_order_relaxed);
    }
    return number;
}

/* Claims the context that a guest's number names; a number that names none is a guest's nonsense. */
static struct systrap_context *claim(struct systrap_subprocess *subprocess, uint32_t number)
{
    struct systrap_context *context = NULL;
    bool flying = true;

    if (number <= subprocess->next_slot)
        context = subprocess->owners[number - 1];
    if (!context || !systrap_left_something(context) ||
        !atomic_compare_exchange_strong(&context->in_flight, &flying, false))
        return NULL;
    return context;
}

static size_t drain(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max)
{
    size_t n = 0;
    uint32_t number;

    pthread_mutex_lock(&subprocess->lock);
    for (unsigned int ring = 0; ring < RINGS; ring++) {
        while (n < max && (number = pop_done(subprocess, ring)) != 0) {
            out[n] = claim(subprocess, number);
            n += out[n] != NULL;
        }
    }
    pthread_mutex_unlock(&subprocess->lock);
    return n;
}

/* What is in flight in a dead subprocess, and what has left an event that a spoilt ring does not name. */
static size_t sweep(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max)
{
    bool dead = systrap_is_dead(subprocess);
    size_t n = 0;

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot && n < max; i++) {
        struct systrap_context *context = subprocess->owners[i];
        bool flying = true;

        if (context && (dead || systrap_left_something(context)) &&
            atomic_compare_exchange_strong(&context->in_flight, &flying, false))
            out[n++] = context;
    }
    pthread_mutex_unlock(&subprocess->lock);
    return n;
}

/* Is a context of the seat's stuck for good? */
static bool seat_is_stuck(const struct seat *seat, int64_t now)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    bool stuck = false;

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot && !stuck; i++) {
        struct systrap_context *context = subprocess->owners[i];

        stuck = context && atomic_load(&context->in_flight) && watchdog_gives_up(context, now);
    }
    pthread_mutex_unlock(&subprocess->lock);
    return stuck;
}

static void watch_seats(struct systrap_queue *queue, int64_t now)
{
    for (struct seat *seat = queue->seats; seat; seat = seat->next) {
        if (atomic_load(&seat->running) && seat_is_stuck(seat, now))
            systrap_subprocess_die(seat->subprocess, TG_DEAD_CORRUPT, 0);
    }
}

static bool seat_has_events(const struct seat *seat)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    const struct systrap_control *control = control_of(subprocess);

    return SHARED_LOAD(control->done_small[atomic_load_explicit(&subprocess->done_head[0], memory_order_relaxed) %
                                           RING_SMALL]) ||
           SHARED_LOAD(control->done_large[atomic_load_explicit(&subprocess->done_head[1], memory_order_relaxed) %
                                           RING_LARGE]) ||
           systrap_is_dead(subprocess);
}

static void collect_seat(struct systrap_queue *queue, struct seat *seat, bool all, struct sink *sink)
{
    struct systrap_context *contexts[DRAIN_MAX];
    size_t max = sink->left < DRAIN_MAX ? sink->left : DRAIN_MAX;
    size_t n = drain(seat->subprocess, contexts, max);

    if (n == 0 && (all || systrap_is_dead(seat->subprocess)))
        n = sweep(seat->subprocess, contexts, max);
    for (size_t i = 0; i < n; i++)
        deliver(contexts[i], queue, sink);
}

static void collect(struct systrap_queue *queue, bool all, struct sink *sink)
{
    bool dead = false;

    if (sink->next)
        take_ready(queue, sink);
    for (struct seat *seat = queue->seats; seat && sink->left; seat = seat->next) {
        if (atomic_load(&seat->running) && (all || seat_has_events(seat)))
            collect_seat(queue, seat, all, sink);
        dead = dead || systrap_is_dead(seat->subprocess);
    }
    if (dead) {
        pthread_mutex_lock(&queue->lock);
        remove_seats(queue, false);
        pthread_mutex_unlock(&queue->lock);
    }
}

/* For the thread that collects. */
static bool something_there(const struct systrap_queue *queue)
{
    if (queue->fd >= 0 ? atomic_load(&queue->stopping) : atomic_load(&queue->ready_count) || atomic_load(&queue->woken))
        return true;
    for (struct seat *seat = queue->seats; seat; seat = seat->next) {
        if (atomic_load(&seat->running) && seat_has_events(seat))
            return true;
    }
    return false;
}

/* ---- submitting ---- */

int systrap_queue_submit(struct tg_queue *base, struct tg_context *base_context, struct tg_subprocess *subprocess)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    struct systrap_context *context = to_systrap_context(base_context);
    int err = slot_bind(context, to_systrap_subprocess(subprocess));
    struct seat *seat = err ? NULL : take_seat(queue, context, to_systrap_subprocess(subprocess));

    if (!seat) {
        subprocess_leave(subprocess);
        return err ? err : platform_fail(base->platform, -ENOMEM, "submit: no memory");
    }
    context->queue = queue;
    err = systrap_start(context, to_systrap_subprocess(subprocess), true, &context->event);
    if (err)
        subprocess_leave(subprocess);
    if (err == 1) {
        make_ready(context);
        return 0;
    }
    if (err < 0) {
        context->queue = NULL;
        atomic_fetch_sub(&seat->running, 1);
        return err;
    }
    if (systrap_is_dead(seat->subprocess))
        systrap_queue_subprocess_dead(seat->subprocess);
    /* A sleeper must look after what it did not know of. */
    if (atomic_load(&queue->sleeping))
        end_wait(queue);
    return 0;
}

/* ---- waiting ---- */

/* A patched call is there before a pause would be over. */
static bool look_quickly(const struct systrap_queue *queue)
{
    for (int i = 0; i < QUICK_LOOKS; i++) {
        if (something_there(queue))
            return true;
    }
    return false;
}

static bool queue_has_something(const void *queue)
{
    return something_there(queue);
}

static bool spin(struct systrap_queue *queue)
{
    struct tg_platform *platform = queue->base.platform;

    if (!anything_runs(queue))
        return false;
    if (!spin_is_worth_it(systrap_platform(platform), queue->futile_spins)) {
        queue->futile_spins++;
        return false;
    }
    if (look_quickly(queue)) {
        queue->futile_spins = 0;
        return true;
    }
    return spin_until(platform, &queue->futile_spins, queue_has_something, queue);
}

static void wait_for_words(struct waitv *words, size_t n, bool all, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_SECOND, .tv_nsec = until_ns % NS_PER_SECOND};
    int64_t soon;

    if (n == 1 && all) {
        shared_futex_wait((uint32_t *)(uintptr_t)words[0].address, (uint32_t)words[0].value, until_ns);
        return;
    }
    if (all && (syscall(SYS_futex_waitv, words, n, 0, until_ns == INT64_MAX ? NULL : &until, CLOCK_MONOTONIC) >= 0 ||
                errno != ENOSYS))
        return;
    soon = clock_monotonic_ns() + POLL_NS;
    shared_futex_wait((uint32_t *)(uintptr_t)words[0].address, (uint32_t)words[0].value,
                      soon < until_ns ? soon : until_ns);
}

static struct waitv waitv_of(const uint32_t *word)
{
    return (struct waitv){.value = SHARED_LOAD(*word), .address = (uint64_t)(uintptr_t)word, .flags = WAITV_32};
}

static void announce_sleep(struct systrap_queue *queue, uint32_t sleepers)
{
    for (struct seat *seat = queue->seats; seat; seat = seat->next)
        SHARED_ADD(control_of(seat->subprocess)->sleepers, sleepers);
}

/* What must be seen to before a sleep, and how long that may be. */
static int64_t prepare_seats(struct systrap_queue *queue, int64_t until_ns)
{
    for (struct seat *seat = queue->seats; seat; seat = seat->next) {
        int64_t check = atomic_load(&seat->running) ? systrap_before_sleep(seat->subprocess) : INT64_MAX;

        until_ns = check < until_ns ? check : until_ns;
    }
    return until_ns;
}

/* Sleeps until one of the seats' doorbells or somebody else wakes it. A seat that comes meanwhile wakes it too. */
static void sleep_until(struct systrap_queue *queue, int64_t until_ns)
{
    struct seat *first = queue->seats;
    struct waitv words[WAITV_MAX];
    size_t n = 0;
    bool all = true;

    words[n++] = waitv_of(&queue->word);
    atomic_store(&queue->sleeping, 1);
    announce_sleep(queue, 1);
    for (struct seat *seat = queue->seats; seat; seat = seat->next) {
        if (!atomic_load(&seat->running))
            continue;
        if (n < WAITV_MAX)
            words[n++] = waitv_of(&control_of(seat->subprocess)->doorbell);
        else
            all = false;
    }
    if (!something_there(queue) && queue->seats == first) {
        count(queue->base.platform, COUNTER_FUTEX_SLEEPS);
        wait_for_words(words, n, all, prepare_seats(queue, until_ns));
    }
    for (struct seat *seat = first; seat; seat = seat->next)
        SHARED_ADD(control_of(seat->subprocess)->sleepers, (uint32_t)-1);
    atomic_store(&queue->sleeping, 0);
}

/* Once in a while: events that no ring names, and contexts that are stuck. */
static void look_after_seats(struct systrap_queue *queue, int64_t now, struct sink *sink)
{
    if (queue->sweep_at && now < queue->sweep_at)
        return;
    if (queue->sweep_at) {
        collect(queue, true, sink);
        watch_seats(queue, now);
    }
    queue->sweep_at = now + WATCHDOG_ROUND_NS;
}

/* One round: spin, sleep, collect. False: the time is over. */
static bool wait_once(struct systrap_queue *queue, struct sink *sink, int64_t until)
{
    if (!spin(queue)) {
        int64_t now = clock_monotonic_ns();

        look_after_seats(queue, now, sink);
        if (now >= until)
            return false;
        if (!sink->count)
            sleep_until(queue, anything_runs(queue) && queue->sweep_at < until ? queue->sweep_at : until);
    }
    collect(queue, false, sink);
    return true;
}

static int64_t deadline_of(int64_t timeout_ns)
{
    int64_t now;

    if (timeout_ns < 0)
        return INT64_MAX;
    now = clock_monotonic_ns();
    return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

static void wait_for_events(struct systrap_queue *queue, struct sink *sink, int64_t timeout_ns)
{
    int64_t until;

    collect(queue, false, sink);
    if (sink->count)
        return;
    if (timeout_ns == 0) {
        look_after_seats(queue, clock_monotonic_ns(), sink);
        return;
    }
    until = deadline_of(timeout_ns);
    while (!sink->count && !atomic_load(&queue->woken) && wait_once(queue, sink, until))
        ;
}

/* The service collects; here only its results are taken. */
static void wait_on_fd(struct systrap_queue *queue, struct sink *sink, int64_t timeout_ns)
{
    int64_t until = deadline_of(timeout_ns);

    for (;;) {
        struct pollfd poll_fd = {.fd = queue->fd, .events = POLLIN};
        struct timespec left = {0};
        uint64_t count;
        int64_t ns;

        take_ready(queue, sink);
        pthread_mutex_lock(&queue->lock);
        if (list_empty(&queue->ready) && read(queue->fd, &count, sizeof(count)) < 0)
            errno = 0; /* it was not readable: fine */
        pthread_mutex_unlock(&queue->lock);
        if (sink->count || atomic_load(&queue->woken))
            return;
        ns = until == INT64_MAX ? INT64_MAX : until - clock_monotonic_ns();
        if (ns <= 0)
            return;
        left.tv_sec = ns / NS_PER_SECOND;
        left.tv_nsec = ns % NS_PER_SECOND;
        ppoll(&poll_fd, 1, until == INT64_MAX ? NULL : &left, NULL);
    }
}

static bool begin_wait(struct systrap_queue *queue)
{
    return !atomic_exchange(&queue->waiting, true);
}

static void end_waiting(struct systrap_queue *queue)
{
    atomic_store_explicit(&queue->waiting, false, memory_order_release);
}

int systrap_queue_wait(struct tg_queue *base, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                       size_t *count)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    struct sink sink = {.next = events, .stride = stride, .left = capacity};

    *count = 0;
    if (!begin_wait(queue))
        return platform_fail(base->platform, -EBUSY, "wait: another thread waits on this queue");
    if (queue->fd >= 0)
        wait_on_fd(queue, &sink, timeout_ns);
    else
        wait_for_events(queue, &sink, timeout_ns);
    if (!sink.count)
        atomic_store(&queue->woken, false);
    end_waiting(queue);
    *count = sink.count;
    return 0;
}

/* ---- the descriptor ---- */

static void *service_main(void *arg)
{
    struct systrap_queue *queue = arg;

    while (!atomic_load(&queue->stopping)) {
        struct sink sink = {.left = SIZE_MAX};

        wait_once(queue, &sink, INT64_MAX);
    }
    return NULL;
}

int systrap_queue_fd(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    int fd;
    int err;

    if (queue->fd >= 0)
        return queue->fd;
    if (!begin_wait(queue))
        return platform_fail(base->platform, -EBUSY, "queue descriptor: a thread waits on this queue");
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = fd < 0 ? -errno : 0;
    if (!err) {
        queue->fd = fd;
        err = quiet_thread_create(&queue->service, service_main, queue);
        if (err) {
            queue->fd = -1;
            close(fd);
        }
    }
    if (!err && atomic_load(&queue->ready_count))
        ring_fd(queue);
    end_waiting(queue);
    return err ? platform_fail(base->platform, err, "queue descriptor: %s", strerror(-err)) : fd;
}

/* ---- life ---- */

int systrap_queue_create(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->ready);
    queue->id = atomic_fetch_add(&systrap_platform(base->platform)->next_id, 1);
    queue->fd = -1;
    return 0;
}

void systrap_queue_subprocess_dead(struct systrap_subprocess *subprocess)
{
    struct systrap_context *contexts[DRAIN_MAX];
    size_t n;

    /* Their DEAD events wait in their queues; nothing of them needs the subprocess any more. */
    while ((n = sweep(subprocess, contexts, DRAIN_MAX)) != 0) {
        for (size_t i = 0; i < n; i++) {
            systrap_lost(contexts[i], &contexts[i]->event);
            subprocess_leave(&subprocess->base);
            make_ready(contexts[i]);
        }
    }
}

/* lock of the subprocess is held. Makes those of the queue leave the guest; true: there are some. */
static bool kick_running(struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    bool found = false;

    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        struct systrap_context *context = subprocess->owners[i];

        if (context && context->queue == queue && atomic_load(&context->in_flight)) {
            SHARED_SWAP(slot_of(subprocess, i)->kick, 1);
            worker_kick(subprocess, SHARED_LOAD(slot_of(subprocess, i)->worker) % SYSTRAP_WORKERS_MAX);
            found = true;
        }
    }
    return found;
}

/* What a context left that nobody will hear of: it can be raised again. */
static void set_aside(struct systrap_context *context)
{
    struct tg_event event;

    if (!systrap_left_something(context)) {
        systrap_lost(context, &event);
    } else if (systrap_collect(context, &event) && event.kind == TG_EVENT_SYSCALL) {
        context_restart_syscall(&context->base);
    }
    subprocess_leave(&context->seat->subprocess->base);
    finish(context);
}

static void stop_seat(struct systrap_queue *queue, struct seat *seat)
{
    struct systrap_subprocess *subprocess = seat->subprocess;
    int64_t until = clock_monotonic_ns() + STOP_NS;
    struct systrap_context *contexts[DRAIN_MAX];

    while (atomic_load(&seat->running)) {
        size_t n;
        bool found;

        pthread_mutex_lock(&subprocess->lock);
        found = kick_running(queue, subprocess);
        pthread_mutex_unlock(&subprocess->lock);
        n = sweep(subprocess, contexts, DRAIN_MAX);
        for (size_t i = 0; i < n; i++) {
            if (contexts[i]->queue == queue) {
                set_aside(contexts[i]);
            } else {
                struct sink nowhere = {.left = 0};

                deliver(contexts[i], queue, &nowhere);
            }
        }
        if (!found)
            break;
        if (n == 0 && clock_monotonic_ns() > until)
            systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        if (n == 0)
            usleep(20);
    }
}

void systrap_queue_destroy(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    if (queue->fd >= 0) {
        atomic_store(&queue->stopping, true);
        end_wait(queue);
        pthread_join(queue->service, NULL);
        close(queue->fd);
        queue->fd = -1;
    }
    while (!list_empty(&queue->ready)) {
        struct systrap_context *context = container_of(queue->ready.next, struct systrap_context, of_queue);

        list_remove(&context->of_queue);
        finish(context);
    }
    for (struct seat *seat = queue->seats; seat; seat = seat->next)
        stop_seat(queue, seat);
    remove_seats(queue, true);
    pthread_mutex_destroy(&queue->lock);
}
