/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting for what contexts of a queue leave, and what ends a wait. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/queue_outlet.h"
#include "core/systrap/lone_context.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/spinning.h"
#include "core/systrap/systrap_queue_wait.h"
#include "core/systrap/upkeep.h"
#include "core/systrap/watchdog.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define WAITV_32    2
#define WAITV_MAX   128
#define POLL_NS     (NS_PER_SECOND / 1000) /* where one sleep cannot cover all words */
#define QUICK_LOOKS 32

/* What futex_waitv(2) takes. */
struct waitv {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

/* Is there an event to collect, or does somebody end the wait? Inlined: a spinning waiter asks again and again. */
__attribute__((always_inline)) static inline bool something_there(const struct systrap_queue *queue)
{
    if (queue->served
            ? atomic_load(&queue->base.stopping) || atomic_load(&queue->lone)
            : atomic_load(&queue->ready_count) || atomic_load(&queue->base.woken) || lone_context_with_event(queue))
        return true;
    for (struct queue_seat *seat = queue->seats; seat; seat = seat->next) {
        if (systrap_seat_runs(seat) && systrap_seat_has_events(seat))
            return true;
    }
    return false;
}

/* Looks in quick succession first: the next patched call is mostly there before a few pauses would be over. */
static bool look_quickly(const struct systrap_queue *queue)
{
    for (int i = 0; i < QUICK_LOOKS; i++) {
        if (something_there(queue))
            return true;
        tgi_arch_systrap->between_looks();
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
    struct systrap_platform *sp = systrap_platform(platform);

    if (!systrap_seats_any_running(queue))
        return false;
    if (!spin_is_worth_it(sp, queue->futile_spins)) {
        queue->futile_spins++;
        return false;
    }
    if (look_quickly(queue)) {
        queue->futile_spins = 0;
        return true;
    }
    return spin_until(platform, sp->spin_ns, &queue->futile_spins, queue_has_something, queue);
}

static void wait_for_words(struct waitv *words, size_t n, bool all, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_SECOND, .tv_nsec = until_ns % NS_PER_SECOND};
    int64_t soon;

    if (n == 1 && all) {
        shared_futex_wait((uint32_t *)(uintptr_t)words[0].address, (uint32_t)words[0].value, until_ns);
        return;
    }
    /* Any other error: the host does not know futex_waitv(2), or a filter forbids it. */
    if (all && (syscall(SYS_futex_waitv, words, n, 0, until_ns == INT64_MAX ? NULL : &until, CLOCK_MONOTONIC) >= 0 ||
                errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT))
        return;
    soon = clock_monotonic_ns() + POLL_NS;
    shared_futex_wait((uint32_t *)(uintptr_t)words[0].address, (uint32_t)words[0].value,
                      soon < until_ns ? soon : until_ns);
}

static struct waitv waitv_of(const uint32_t *word)
{
    return (struct waitv){.value = SHARED_LOAD(*word), .address = (uint64_t)(uintptr_t)word, .flags = WAITV_32};
}

/* The word, which guests can write, is the library's number again each time. */
static void add_sleepers_in(struct systrap_subprocess *subprocess, uint32_t sleepers)
{
    pthread_mutex_lock(&subprocess->lock);
    subprocess->sleepers += sleepers;
    SHARED_SWAP(control_of(subprocess)->sleepers, subprocess->sleepers);
    pthread_mutex_unlock(&subprocess->lock);
}

/* Begins at the same seat before and after a sleep: submits may have put other seats in front of it meanwhile. */
static void add_sleepers(struct queue_seat *first, uint32_t sleepers)
{
    for (struct queue_seat *seat = first; seat; seat = seat->next)
        add_sleepers_in(seat->subprocess, sleepers);
}

/*
 * The words whose change ends a sleep, with what they are now, read before the look for events that follows. False:
 * there are more than fit. Pairs with systrap_queue_rouse(), push_done() of the workers and wake_everybody().
 */
static bool fill_words(const struct systrap_queue *queue, struct queue_seat *first, struct waitv words[WAITV_MAX],
                       size_t *n)
{
    bool all = true;

    words[(*n)++] = waitv_of(&queue->word);
    for (struct queue_seat *seat = first; seat; seat = seat->next) {
        if (!systrap_seat_runs(seat))
            continue;
        if (*n < WAITV_MAX)
            words[(*n)++] = waitv_of(&control_of(seat->subprocess)->doorbell);
        else
            all = false;
    }
    return all;
}

/* Sleeps until a seat's doorbell or systrap_queue_rouse() wakes it, which a submit that adds a seat calls too. */
static void sleep_until(struct systrap_queue *queue, int64_t until_ns)
{
    struct queue_seat *first = queue->seats;
    struct waitv words[WAITV_MAX];
    size_t n = 0;
    bool all;

    /* Stored before the look below: systrap_queue_submit() and run_again() start a context and then look at this, */
    atomic_store(&queue->sleeping, 1);
    /* and push_done() of the workers pushes and then looks at this. Also pairs with rest() of the workers. */
    add_sleepers(first, 1);
    all = fill_words(queue, first, words, &n);
    /* After the words are read: a start that takes back what this says comes before a rouse that changes one. */
    lone_context_sleep(queue);
    if (!something_there(queue) && queue->seats == first) {
        count(queue->base.platform, COUNTER_FUTEX_SLEEPS);
        wait_for_words(words, n, all, systrap_queue_find_workers(queue, until_ns));
    }
    lone_context_wake(queue);
    add_sleepers(first, (uint32_t)-1);
    atomic_store(&queue->sleeping, 0);
}

bool systrap_queue_wait_once(struct systrap_queue *queue, struct sink *sink, int64_t until)
{
    bool found;
    int64_t now;

    if (queue->served && atomic_load(&queue->lone))
        lone_context_give_up(queue);
    found = spin(queue);
    if (found)
        systrap_queue_collect(queue, sink);
    if (sink->count) {
        systrap_queue_upkeep_at_times(queue);
        return true;
    }
    /* Also when what was found turned out to be no event: a guest can fill its ring with nonsense for ever. */
    now = clock_monotonic_ns();
    systrap_queue_upkeep(queue, now);
    if (now >= until) {
        systrap_queue_collect(queue, sink);
        return false;
    }
    if (!found) {
        const int64_t scan_at = queue->upkeep.scan_at;

        sleep_until(queue, systrap_seats_any_running(queue) && scan_at < until ? scan_at : until);
        systrap_queue_collect(queue, sink);
    }
    return true;
}

static void wait_for_events(struct systrap_queue *queue, struct sink *sink, int64_t timeout_ns)
{
    int64_t until;

    systrap_queue_collect(queue, sink);
    if (sink->count) {
        systrap_queue_upkeep_at_times(queue);
        return;
    }
    if (timeout_ns == 0) {
        systrap_queue_upkeep(queue, clock_monotonic_ns());
        /* An embedder that only polls never comes to the sleep that would see to this. */
        systrap_queue_find_workers(queue, 0);
        systrap_queue_take_ready(queue, sink->left, sink);
        return;
    }
    until = clock_deadline_ns(timeout_ns);
    while (!sink->count && !atomic_load(&queue->base.woken) && systrap_queue_wait_once(queue, sink, until))
        ;
}

bool systrap_queue_has_ready(struct tg_queue *base)
{
    return atomic_load(&to_systrap_queue(base)->ready_count);
}

size_t systrap_queue_hand_out(struct tg_queue *base, void *events, size_t stride, size_t capacity)
{
    struct systrap_queue *queue = to_systrap_queue(base);
    struct sink sink = {.next = events, .stride = stride, .left = capacity};

    systrap_queue_take_ready(queue, capacity, &sink);
    pthread_mutex_lock(&queue->lock);
    if (list_empty(&queue->ready))
        queue_outlet_clear(base);
    pthread_mutex_unlock(&queue->lock);
    return sink.count;
}

int systrap_queue_wait(struct tg_queue *base, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                       size_t *count)
{
    struct sink sink = {.next = events, .stride = stride, .left = capacity};

    wait_for_events(to_systrap_queue(base), &sink, timeout_ns);
    if (!sink.count)
        atomic_exchange(&base->woken, false);
    *count = sink.count;
    return 0;
}
