/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "queue_drive.h"

#include <stdlib.h>

tg_queue *create_queue(tg_platform *platform)
{
    tg_queue *queue = NULL;

    CHECK_OK(tg_queue_create(platform, &queue));
    CHECK(queue != NULL);
    return queue;
}

size_t wait_events(tg_queue *queue, tg_event *events, size_t capacity, int64_t timeout_ns)
{
    size_t count = 9999;
    size_t i;

    for (i = 0; i < capacity; i++)
        events[i] = new_event();
    CHECK_OK(tg_queue_wait(queue, events, capacity, timeout_ns, &count));
    CHECK(count <= capacity);
    return count;
}

tg_event wait_one(tg_queue *queue)
{
    tg_event event;

    CHECK_EQ(wait_events(queue, &event, 1, FOREVER), 1);
    return event;
}

tg_context *create_counter(tg_platform *platform, uint64_t index)
{
    tg_context *context = create_started_context(platform);

    CHECK_OK(tg_context_set_user_data(context, index));
    return context;
}

void drive_many(struct guest *guest, tg_queue *queue, unsigned int contexts, unsigned int rounds)
{
    tg_context **all = calloc(contexts, sizeof(*all));
    uint64_t *seen = calloc(contexts, sizeof(*seen));
    unsigned int left = contexts * rounds;
    tg_event events[CAPACITY];
    size_t count;
    size_t i;

    CHECK(all && seen);
    for (i = 0; i < contexts; i++) {
        all[i] = create_counter(guest->platform, i);
        CHECK_OK(tg_queue_submit(queue, all[i], guest->subprocess));
    }
    while (left > 0) {
        count = wait_events(queue, events, CAPACITY, FOREVER);
        CHECK(count > 0);
        for (i = 0; i < count; i++) {
            uint64_t index = events[i].user_data;

            CHECK(index < contexts);
            CHECK(events[i].context == all[index]);
            CHECK_CALL(&events[i], GUEST_CALL);
            CHECK_EQ(events[i].u.syscall.args[0], ++seen[index]);
            left--;
            if (seen[index] < rounds)
                CHECK_OK(tg_queue_submit(queue, all[index], guest->subprocess));
        }
    }
    CHECK_EQ(wait_events(queue, events, CAPACITY, 0), 0);
    for (i = 0; i < contexts; i++)
        tg_context_destroy(all[i]);
    free(seen);
    free(all);
}

void *submit_and_take(void *argument)
{
    struct waiter *waiter = argument;

    CHECK_OK(tg_queue_submit(waiter->queue, waiter->guest->context, waiter->guest->subprocess));
    waiter->count = wait_events(waiter->queue, &waiter->event, 1, FOREVER);
    return NULL;
}
