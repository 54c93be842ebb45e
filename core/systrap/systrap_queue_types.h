/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Queues: many contexts for one waiting thread. Workers push the numbers of
 * slots with events into their subprocess's done ring; the waiter looks at the
 * rings of the subprocesses in which contexts of its queue run, its seats.
 */
#ifndef CORE_SYSTRAP_QUEUE_TYPES_H
#define CORE_SYSTRAP_QUEUE_TYPES_H

#include "core/systrap/systrap_types.h"

#define DRAIN_MAX 64 /* events that are taken from a subprocess at once */

/* Where events go: to the caller's array, or to the ready list. */
struct sink {
    /* The thread on whose stack it is. */
    char *next; /* NULL: the ready list */
    size_t stride;
    size_t left;
    size_t count;
};

/* upkeep.c: when the collecting thread is to look again. */
struct systrap_upkeep {
    /* The collecting thread. */
    uint32_t passes;    /* passes of a wait that are left before it reads the clock */
    int64_t read_at;    /* what the clock said when it read it last */
    int64_t workers_at; /* when to look next whether contexts find workers */
    int64_t scan_at;    /* when to look next for events that no ring names, and stuck contexts; 0: not yet */
};

/* A subprocess in which contexts of a queue run. */
struct queue_seat {
    /* As systrap_queue.seats. */
    struct queue_seat *_Atomic next;

    /* Never change. */
    struct systrap_subprocess *subprocess;
    uint64_t queue_id;

    /* Atomic, any thread. */
    _Atomic uint32_t refs;    /* the queue's list and contexts */
    _Atomic uint32_t running; /* contexts that were submitted and whose events nobody has fetched */

    /* Of these, such as are in ready. Changes with systrap_queue.lock; the collecting thread reads it without. */
    _Atomic uint32_t ready_count;

    /* systrap_queue.lock */
    struct list ready;    /* systrap_context.of_queue: events that are written already */
    struct list in_ready; /* systrap_queue.ready, while there are any */
};

struct systrap_queue {
    struct tg_queue base;
    uint64_t id; /* never changes, and is never used again */

    /* lock */
    pthread_mutex_t lock;
    struct list ready; /* seat.in_ready: each in turn */

    /*
     * Added to under lock by who submits, removed from under lock by the collecting thread, which walks along without;
     * others walk along with it.
     */
    struct queue_seat *_Atomic seats;

    /* Atomic, any thread. */
    _Atomic uint32_t ready_count; /* changed under lock */
    uint32_t word;                /* changes to end a wait; a futex */
    _Atomic uint32_t sleeping;
    struct systrap_context *_Atomic lone; /* has its own rule: lone_context.h */

    /* The collecting thread: the one that waits, or the service, which begins after what is here. */
    bool served;             /* it is the service */
    struct queue_seat *turn; /* where it begins to collect; NULL: at the first */
    uint32_t busy;           /* seats that had events when it collected last */
    bool ready_first;
    bool lone_first;
    uint32_t futile_spins;
    struct systrap_upkeep upkeep;
};

static inline struct systrap_queue *to_systrap_queue(struct tg_queue *queue)
{
    return container_of(queue, struct systrap_queue, base);
}

#endif
