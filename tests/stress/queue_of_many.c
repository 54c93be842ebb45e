/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One thread drives a thousand contexts, or ten thousand: exactly one event for each submit, none lost, none mixed up.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "footprint.h"
#include "soak.h"
#include "stress.h"

#define SUBPROCESSES_MAX 4
#define BATCH            64
#define FOREVER          (-1)

struct queued {
    struct soaker soaker;
    bool submitted;
};

struct crowd {
    tg_platform *platform;
    tg_queue *queue;
    tg_subprocess *subprocesses[SUBPROCESSES_MAX];
    size_t subprocess_count;
    struct queued *members;
    size_t size;
    size_t turns; /* of each context */
    size_t in_flight;
};

static void submit(struct crowd *crowd, size_t index)
{
    struct queued *member = &crowd->members[index];
    CHECK(!member->submitted);
    member->submitted = true;
    crowd->in_flight++;
    CHECK_OK(tg_queue_submit(crowd->queue, member->soaker.context,
                             crowd->subprocesses[(index + member->soaker.turns) % crowd->subprocess_count]));
}

static void take_event(struct crowd *crowd, const tg_event *event)
{
    CHECK(event->user_data < crowd->size);
    struct queued *member = &crowd->members[event->user_data];
    CHECK(member->submitted);
    member->submitted = false;
    crowd->in_flight--;
    soaker_answer(&member->soaker, event);
    if (member->soaker.turns < crowd->turns)
        submit(crowd, event->user_data);
}

static size_t wait_for_events(struct crowd *crowd, int64_t timeout_ns)
{
    tg_event events[BATCH];
    size_t count = 0;
    for (size_t i = 0; i < BATCH; i++)
        events[i] = new_event();
    CHECK_OK(tg_queue_wait(crowd->queue, events, BATCH, timeout_ns, &count));
    CHECK(count <= BATCH);
    for (size_t i = 0; i < count; i++)
        take_event(crowd, &events[i]);
    return count;
}

static void crowd_open(struct crowd *crowd, uint32_t backend)
{
    crowd->platform = open_platform(backend, 0);
    crowd->members = calloc(crowd->size, sizeof(*crowd->members));
    CHECK(crowd->members);
    CHECK_OK(tg_queue_create(crowd->platform, &crowd->queue));
    for (size_t i = 0; i < crowd->subprocess_count; i++)
        crowd->subprocesses[i] = create_loaded_subprocess(crowd->platform, soak_code());
    for (size_t i = 0; i < crowd->size; i++) {
        soaker_open(&crowd->members[i].soaker, crowd->platform, i << 32);
        CHECK_OK(tg_context_set_user_data(crowd->members[i].soaker.context, i));
    }
}

static void crowd_close(struct crowd *crowd)
{
    tg_queue_destroy(crowd->queue);
    for (size_t i = 0; i < crowd->size; i++)
        soaker_close(&crowd->members[i].soaker);
    for (size_t i = 0; i < crowd->subprocess_count; i++)
        tg_subprocess_destroy(crowd->subprocesses[i]);
    tg_platform_close(crowd->platform);
    free(crowd->members);
}

static void drive(uint32_t backend, struct crowd crowd)
{
    tg_platform_close(open_platform(backend, 0));
    const struct footprint before = footprint_take();

    crowd_open(&crowd, backend);
    for (size_t i = 0; i < crowd.size; i++)
        submit(&crowd, i);
    while (crowd.in_flight > 0)
        wait_for_events(&crowd, FOREVER);
    CHECK_EQ(wait_for_events(&crowd, 0), 0);
    for (size_t i = 0; i < crowd.size; i++)
        CHECK_EQ(crowd.members[i].soaker.turns, crowd.turns);
    crowd_close(&crowd);
    footprint_check(&before);
    printf("%zu turns of each of %zu contexts in %zu subprocesses\n", crowd.turns, crowd.size, crowd.subprocess_count);
}

void stress_queue_of_many(uint32_t backend)
{
    drive(backend, (struct crowd){.size = 1000, .subprocess_count = 4, .turns = scaled(100)});
}

/* More than the 4,095 that fit the numbers of some, and all in one subprocess. */
void stress_ten_thousand(uint32_t backend)
{
    drive(backend, (struct crowd){.size = 10000, .subprocess_count = 1, .turns = scaled(10)});
}
