/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The queue: one thread drives many contexts. */
#include <string.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"

#define MANY 200

static void one_event_per_submit(uint32_t backend)
{
    struct guest guest;
    tg_event events[CAPACITY];
    tg_queue *queue;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_context_set_user_data(guest.context, 0xabcdef));
    for (i = 1; i <= 50; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        event = wait_one(queue);
        CHECK(event.context == guest.context);
        CHECK_EQ(event.user_data, 0xabcdef);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
        CHECK_EQ(wait_events(queue, events, CAPACITY, 0), 0);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void many_contexts(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    drive_many(&guest, queue, MANY, 10);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void thousands(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    drive_many(&guest, queue, 4200, 2);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void many_through_the_descriptor(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK(tg_queue_fd(queue) >= 0);
    drive_many(&guest, queue, MANY, 10);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void many_subprocesses(uint32_t backend)
{
    enum { SUBPROCESSES = 20, ROUNDS = 10 };
    tg_platform *platform = open_platform(backend, 0);
    tg_subprocess *subprocesses[SUBPROCESSES];
    tg_context *contexts[SUBPROCESSES];
    tg_queue *queue = create_queue(platform);
    unsigned int left = SUBPROCESSES * ROUNDS;
    uint64_t i;

    for (i = 0; i < SUBPROCESSES; i++) {
        subprocesses[i] = create_loaded_subprocess(platform, GUEST_CODE(read_calls));
        guest_store(subprocesses[i], GUEST_DATA_AT, 1000 + i);
        contexts[i] = create_counter(platform, i);
        arch_set_argument(contexts[i], 0, GUEST_DATA_AT);
        CHECK_OK(tg_queue_submit(queue, contexts[i], subprocesses[i]));
    }
    while (left-- > 0) {
        tg_event event = wait_one(queue);

        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[1], 1000 + event.user_data);
        if (left >= SUBPROCESSES)
            CHECK_OK(tg_queue_submit(queue, event.context, subprocesses[event.user_data]));
    }
    tg_queue_destroy(queue);
    tg_platform_close(platform);
}

static void capacity_is_kept(uint32_t backend)
{
    enum { CONTEXTS = 10 };
    struct guest guest;
    tg_event events[CONTEXTS + 1];
    tg_queue *queue;
    size_t total = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    for (i = 0; i < CONTEXTS; i++)
        CHECK_OK(tg_queue_submit(queue, create_counter(guest.platform, 0), guest.subprocess));
    while (total < CONTEXTS) {
        memset(events, 0xdd, sizeof(events));
        total += wait_events(queue, events, 3, FOREVER);
        CHECK_EQ(events[3].kind, 0xdddddddd);
    }
    CHECK_EQ(total, CONTEXTS);
    CHECK_EQ(wait_events(queue, events, CONTEXTS, 0), 0);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case queue_cases[] = {
    {"queue.one_event_per_submit", "Each submit gives exactly one event, with the context's user data",
     one_event_per_submit},
    {"queue.many_contexts", "One thread drives 200 contexts; each gets its own events in order", many_contexts},
    {"queue.thousands", "One thread drives more than 4,096 contexts", thousands},
    {"queue.many_with_fd", "The same through a queue whose descriptor is in use", many_through_the_descriptor},
    {"queue.many_subprocesses", "One queue runs contexts in twenty subprocesses", many_subprocesses},
    {"queue.capacity", "A wait writes no more events than asked for and loses none", capacity_is_kept},
    {0},
};
