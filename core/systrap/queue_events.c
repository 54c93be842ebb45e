/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What contexts of a queue have left: finding it, and handing it out once, whoever finds it. */
#include "core/systrap/queue_events.h"
#include "core/event.h"
#include "core/queue_outlet.h"
#include "core/subprocess_life.h"
#include "core/systrap/events.h"
#include "core/systrap/lone_context.h"
#include "core/systrap/queue_rouse.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_run.h"

#define PASSES_MAX 16 /* how often a context that leaves no event is run again in one look at it */

static void put_event(struct sink *sink, const struct tg_event *event)
{
    event_store(sink->next, sink->stride, event);
    sink->next += sink->stride;
    sink->left--;
    sink->count++;
}

void systrap_queue_finish(struct systrap_context *context)
{
    lone_context_end(context->queue, context);
    atomic_fetch_sub(&context->seat->running, 1);
    atomic_store_explicit(&context->queue, NULL, memory_order_relaxed);
    context_give_back(&context->base);
}

void systrap_queue_make_ready(struct systrap_context *context)
{
    struct systrap_queue *queue = context->queue;
    struct queue_seat *seat = context->seat;

    pthread_mutex_lock(&queue->lock);
    if (list_empty(&seat->ready))
        list_add_last(&queue->ready, &seat->in_ready);
    list_add_last(&seat->ready, &context->of_queue);
    atomic_fetch_add(&seat->ready_count, 1);
    atomic_fetch_add(&queue->ready_count, 1);
    /* With the lock: once another thread can take the event, it can destroy the queue. */
    if (queue_has_fd(&queue->base))
        queue_outlet_notify(&queue->base);
    else
        systrap_queue_rouse(&queue->base);
    pthread_mutex_unlock(&queue->lock);
}

struct systrap_context *systrap_queue_pop_ready(struct systrap_queue *queue)
{
    struct systrap_context *context;
    struct queue_seat *seat;

    if (list_empty(&queue->ready))
        return NULL;
    seat = container_of(queue->ready.next, struct queue_seat, in_ready);
    context = container_of(seat->ready.next, struct systrap_context, of_queue);
    list_remove(&context->of_queue);
    list_remove(&seat->in_ready);
    if (!list_empty(&seat->ready))
        list_add_last(&queue->ready, &seat->in_ready);
    atomic_fetch_sub(&seat->ready_count, 1);
    atomic_fetch_sub(&queue->ready_count, 1);
    return context;
}

void systrap_queue_take_ready(struct systrap_queue *queue, size_t max, struct sink *sink)
{
    const size_t end = sink->left > max ? sink->left - max : 0;
    struct systrap_context *context;

    if (!atomic_load(&queue->ready_count))
        return;
    pthread_mutex_lock(&queue->lock);
    while (sink->left > end && (context = systrap_queue_pop_ready(queue)) != NULL) {
        put_event(sink, &context->event);
        systrap_queue_finish(context);
    }
    pthread_mutex_unlock(&queue->lock);
}

/*
 * The caller has the context, and puts it in flight or keeps it. With the lock,
 * under which others claim: neither a claim nor a death, after which somebody
 * scans, comes between the look and what follows from it. True: its subprocess
 * has died, or look is set and it has left something, and it stays the caller's.
 * False: it is in flight, and the caller must not touch it; without a look a scan
 * has to find what it has left.
 */
static bool keep(struct systrap_context *context, bool look)
{
    struct systrap_subprocess *subprocess = context->bound;
    bool kept;

    pthread_mutex_lock(&subprocess->lock);
    kept = subprocess_is_dead(&subprocess->base) || (look && systrap_left_something(context));
    atomic_store(&context->flight, kept ? NOT_IN_FLIGHT : IN_FLIGHT);
    pthread_mutex_unlock(&subprocess->lock);
    return kept;
}

bool systrap_queue_take_off(struct systrap_context *context, bool look)
{
    uint32_t flight = STARTING;

    /* Death first: who scans after that finds the context in flight, or leaves ASKED_FOR. Pairs with claim(). */
    if (!look && !subprocess_is_dead(&context->bound->base) &&
        atomic_compare_exchange_strong(&context->flight, &flight, IN_FLIGHT))
        return false;
    return keep(context, true);
}

bool systrap_queue_is_down(struct systrap_context *context)
{
    return systrap_left_something(context) || keep(context, true);
}

/*
 * The context may be in another queue, whose waiter sleeps, and if no worker has time for the context that waiter has
 * to make one. It is woken before anybody can claim the context, for then its queue can be destroyed. Pairs with
 * sleep_until().
 */
static void run_again(struct systrap_context *context)
{
    atomic_store(&context->flight, STARTING);
    systrap_run_again(context);
    if (atomic_load(&context->queue->sleeping))
        systrap_queue_rouse(&atomic_load(&context->queue)->base);
}

/*
 * True: what the context has left is an event. False: it runs on, and nobody may
 * deliver it. A guest can leave what is no event each time that somebody looks;
 * after some of these the context has to wait for the next scan.
 */
static bool collect_or_run(struct systrap_context *context, struct tg_event *event)
{
    for (unsigned int pass = 1;; pass++) {
        if (!systrap_queue_is_down(context))
            return false;
        if (!systrap_left_something(context)) {
            systrap_lost(context, event);
            return true;
        }
        if (systrap_collect(context, event))
            return true;
        run_again(context);
        if (!(pass < PASSES_MAX ? systrap_queue_take_off(context, false) : keep(context, false)))
            return false;
    }
}

void systrap_queue_deliver(struct systrap_context *context, struct systrap_queue *queue, struct sink *sink)
{
    /* Here rather than in the context: the events of a thousand contexts would not stay in the cache. */
    struct tg_event event;

    if (!collect_or_run(context, &event))
        return;
    subprocess_leave(&context->seat->subprocess->base);
    if (context->queue == queue && sink->next && sink->left) {
        put_event(sink, &event);
        systrap_queue_finish(context);
    } else {
        sink->count += context->queue == queue;
        context->event = event;
        systrap_queue_make_ready(context);
    }
}

/* lock is held. Takes an entry out of a done ring: a slot's number plus one, 0: the ring is empty. */
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

/* True: the caller is to deliver it. Whoever still starts it finds ASKED_FOR instead: systrap_queue_take_off(). */
static bool claim(struct systrap_context *context)
{
    for (;;) {
        uint32_t flight = IN_FLIGHT;

        if (atomic_compare_exchange_strong(&context->flight, &flight, NOT_IN_FLIGHT))
            return true;
        if (flight != STARTING || atomic_compare_exchange_strong(&context->flight, &flight, ASKED_FOR))
            return false;
    }
}

/* Claims the context whose slot has that number. A guest can write any: NULL if it names no context with an event. */
static struct systrap_context *claim_number(struct systrap_subprocess *subprocess, uint32_t number)
{
    struct systrap_context *context = NULL;

    if (number <= subprocess->next_slot)
        context = subprocess->slot_contexts[number - 1];
    return context && systrap_left_something(context) && claim(context) ? context : NULL;
}

/* Looks at max numbers at most, for a guest can fill the rings with nonsense for ever. */
static size_t drain(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&subprocess->lock);
    for (size_t looks = 0; looks < max; looks++) {
        uint32_t number = pop_done(subprocess, 0);

        if (!number)
            number = pop_done(subprocess, 1);
        if (!number)
            break;
        out[n] = claim_number(subprocess, number);
        n += out[n] != NULL;
    }
    pthread_mutex_unlock(&subprocess->lock);
    return n;
}

size_t systrap_queue_scan(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max)
{
    bool dead = subprocess_is_dead(&subprocess->base);
    size_t n = 0;

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot && n < max; i++) {
        struct systrap_context *context = subprocess->slot_contexts[i];

        if (context && (dead || systrap_left_something(context)) && claim(context))
            out[n++] = context;
    }
    pthread_mutex_unlock(&subprocess->lock);
    return n;
}

/*
 * Claims it without the lock of its subprocess, which keeps a context that a
 * number names from going away: this one stays while the queue has it.
 */
static void collect_lone(struct systrap_queue *queue, struct sink *sink)
{
    struct systrap_context *context = queue->served || !sink->left ? NULL : lone_context_with_event(queue);
    uint32_t flight = IN_FLIGHT;

    if (context && atomic_compare_exchange_strong(&context->flight, &flight, NOT_IN_FLIGHT))
        systrap_queue_deliver(context, queue, sink);
}

/* A walk over the seats. */
struct walk {
    size_t share;  /* that each may have of the room */
    uint32_t busy; /* seats that had events */
    bool more;     /* some have events still */
    bool dead;     /* some are */
};

static void collect_seat(struct systrap_queue *queue, struct queue_seat *seat, size_t max, struct sink *sink)
{
    struct systrap_context *contexts[DRAIN_MAX];
    size_t n = drain(seat->subprocess, contexts, max);

    if (subprocess_is_dead(&seat->subprocess->base))
        n += systrap_queue_scan(seat->subprocess, contexts + n, max - n);
    for (size_t i = 0; i < n; i++)
        systrap_queue_deliver(contexts[i], queue, sink);
}

static void visit_seat(struct systrap_queue *queue, struct queue_seat *seat, struct walk *walk, struct sink *sink)
{
    size_t max = walk->share < sink->left ? walk->share : sink->left;

    if (systrap_seat_runs(seat) && systrap_seat_has_events(seat)) {
        collect_seat(queue, seat, max < DRAIN_MAX ? max : DRAIN_MAX, sink);
        walk->busy++;
        walk->more |= systrap_seat_has_events(seat);
    }
    walk->dead |= subprocess_is_dead(&seat->subprocess->base);
}

/* Once over all seats, beginning where the last walk ended because the caller's room was full. */
static void walk_seats(struct systrap_queue *queue, struct walk *walk, struct sink *sink)
{
    struct queue_seat *const first = queue->turn ? queue->turn : atomic_load(&queue->seats);
    struct queue_seat *seat = first;

    while (seat && sink->left) {
        struct queue_seat *next = seat->next;

        visit_seat(queue, seat, walk, sink);
        seat = next ? next : atomic_load(&queue->seats);
        if (seat == first)
            break;
    }
    queue->turn = seat;
}

static void remove_dead_seats(struct systrap_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    systrap_seats_remove(queue, false);
    pthread_mutex_unlock(&queue->lock);
}

/* Shares out the room as if as many seats had events as the last time; a second walk puts right what was wrong. */
void systrap_queue_collect(struct systrap_queue *queue, struct sink *sink)
{
    const bool ready = sink->next && atomic_load(&queue->ready_count);
    const size_t parts = queue->busy + ready;
    const size_t share = parts > 1 ? sink->left / parts + (sink->left % parts != 0) : sink->left;
    struct walk walk = {.share = share};
    struct walk rest = {.share = SIZE_MAX};

    if (ready) {
        queue->ready_first = !queue->ready_first;
        if (queue->ready_first)
            systrap_queue_take_ready(queue, share, sink);
    }
    queue->lone_first = !queue->lone_first;
    if (queue->lone_first)
        collect_lone(queue, sink);
    walk_seats(queue, &walk, sink);
    if (!queue->lone_first)
        collect_lone(queue, sink);
    if (ready)
        systrap_queue_take_ready(queue, sink->left, sink);
    if (walk.more && sink->left)
        walk_seats(queue, &rest, sink);
    queue->busy = walk.busy;
    if (walk.dead)
        remove_dead_seats(queue);
}

void systrap_queue_collect_unnamed(struct systrap_queue *queue)
{
    struct systrap_context *contexts[DRAIN_MAX];

    for (struct queue_seat *seat = queue->seats; seat; seat = seat->next) {
        size_t n = systrap_seat_runs(seat) ? systrap_queue_scan(seat->subprocess, contexts, DRAIN_MAX) : 0;

        for (size_t i = 0; i < n; i++) {
            struct sink nowhere = {.left = 0};

            systrap_queue_deliver(contexts[i], queue, &nowhere);
        }
    }
}

void systrap_queue_subprocess_dead(struct systrap_subprocess *subprocess)
{
    struct systrap_context *contexts[DRAIN_MAX];
    size_t n;

    /* Their DEAD events wait in their queues; nothing of them needs the subprocess any more. */
    while ((n = systrap_queue_scan(subprocess, contexts, DRAIN_MAX)) != 0) {
        for (size_t i = 0; i < n; i++) {
            systrap_lost(contexts[i], &contexts[i]->event);
            subprocess_leave(&subprocess->base);
            systrap_queue_make_ready(contexts[i]);
        }
    }
}
