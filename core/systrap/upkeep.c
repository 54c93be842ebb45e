/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a queue's collecting thread sees to by the clock, whatever it finds: a
 * subprocess that always has events keeps others neither from workers, nor from
 * their turns, nor from being given up.
 */
#include "core/systrap/upkeep.h"
#include "core/clock.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/seats.h"
#include "core/systrap/systrap_run.h"
#include "core/systrap/watchdog.h"

#define WORKERS_NS (NS_PER_SECOND / 100)
/* The clock is read once in so many passes of a wait; at each where these took longer than PASSES_NS. */
#define PASSES     16
#define PASSES_NS  (NS_PER_SECOND / 1000)

int64_t systrap_queue_find_workers(struct systrap_queue *queue, int64_t until_ns)
{
    for (struct queue_seat *seat = queue->seats; seat; seat = seat->next) {
        int64_t check = systrap_seat_runs(seat) ? systrap_before_sleep(seat->subprocess) : INT64_MAX;

        until_ns = check < until_ns ? check : until_ns;
    }
    return until_ns;
}

void systrap_queue_upkeep(struct systrap_queue *queue, int64_t now)
{
    struct systrap_upkeep *upkeep = &queue->upkeep;

    if (now >= upkeep->workers_at) {
        systrap_queue_find_workers(queue, INT64_MAX);
        upkeep->workers_at = now + WORKERS_NS;
    }
    if (upkeep->scan_at && now < upkeep->scan_at)
        return;
    if (upkeep->scan_at) {
        systrap_queue_collect_unnamed(queue);
        systrap_seats_watch(queue, now);
    }
    upkeep->scan_at = now + WATCHDOG_ROUND_NS;
}

void systrap_queue_upkeep_at_times(struct systrap_queue *queue)
{
    struct systrap_upkeep *upkeep = &queue->upkeep;
    int64_t now;

    if (upkeep->passes) {
        upkeep->passes--;
        return;
    }
    now = clock_monotonic_ns();
    upkeep->passes = now - upkeep->read_at < PASSES_NS ? PASSES : 0;
    upkeep->read_at = now;
    systrap_queue_upkeep(queue, now);
}
