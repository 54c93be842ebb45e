/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue's seats: the subprocesses in which its contexts run, with counts of these. */
#include <stdlib.h>

#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/seats.h"
#include "core/systrap/watchdog.h"

static void release_seat(struct queue_seat *seat)
{
    if (atomic_fetch_sub(&seat->refs, 1) != 1)
        return;
    subprocess_release(&seat->subprocess->base);
    free(seat);
}

/* lock is held. The seat of the queue in the subprocess; makes one if there is none. */
static struct queue_seat *find_seat(struct systrap_queue *queue, struct systrap_subprocess *subprocess)
{
    struct queue_seat *seat;

    for (seat = queue->seats; seat; seat = seat->next) {
        if (seat->subprocess == subprocess)
            return seat;
    }
    seat = calloc(1, sizeof(*seat));
    if (!seat)
        return NULL;
    seat->subprocess = subprocess;
    seat->queue_id = queue->id;
    list_init(&seat->ready);
    list_init(&seat->in_ready);
    atomic_store(&seat->refs, 1);
    subprocess_hold(&subprocess->base);
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

struct queue_seat *systrap_seat_take(struct systrap_queue *queue, struct systrap_context *context,
                                     struct systrap_subprocess *subprocess)
{
    struct queue_seat *seat = context->seat;

    if (!seat || seat->queue_id != queue->id || seat->subprocess != subprocess) {
        systrap_queue_leave_seat(context);
        pthread_mutex_lock(&queue->lock);
        seat = find_seat(queue, subprocess);
        if (seat)
            atomic_fetch_add(&seat->refs, 1);
        pthread_mutex_unlock(&queue->lock);
        context->seat = seat;
    }
    /* Pairs with systrap_seats_remove(), and with sleep_until(), which sleeps on doorbells where something runs. */
    if (seat)
        atomic_fetch_add(&seat->running, 1);
    return seat;
}

/*
 * Looks at death and then at running: who takes a seat adds to running and then looks at death, so that one of the two
 * sees the other. Pairs with systrap_seat_take() and the look of systrap_start().
 */
void systrap_seats_remove(struct systrap_queue *queue, bool all)
{
    struct queue_seat *_Atomic *link = &queue->seats;

    while (*link) {
        struct queue_seat *seat = *link;

        if (!(all || subprocess_is_dead(&seat->subprocess->base)) || atomic_load(&seat->running)) {
            link = &seat->next;
            continue;
        }
        atomic_store(link, atomic_load(&seat->next));
        if (queue->turn == seat)
            queue->turn = NULL;
        release_seat(seat);
    }
}

void systrap_seats_watch(struct systrap_queue *queue, int64_t now)
{
    for (struct queue_seat *seat = queue->seats; seat; seat = seat->next) {
        if (systrap_seat_runs(seat) && watchdog_gives_up_queued(seat->subprocess, now))
            systrap_subprocess_die(seat->subprocess, TG_DEAD_CORRUPT, 0);
    }
}
