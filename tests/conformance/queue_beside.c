/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue beside other queues, and beside plain switches. */
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "scale.h"
#include "threads.h"

static void queues_side_by_side(uint32_t backend)
{
    enum { QUEUES = 3 };
    tg_queue *queues[QUEUES];
    struct guest guest;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < QUEUES; i++) {
        queues[i] = create_queue(guest.platform);
        CHECK_OK(tg_queue_submit(queues[i], create_counter(guest.platform, i), guest.subprocess));
    }
    for (i = QUEUES; i-- > 0;) {
        event = wait_one(queues[i]);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.user_data, i);
        CHECK_EQ(wait_events(queues[i], &event, 1, 0), 0);
    }
    for (i = 0; i < QUEUES; i++)
        tg_queue_destroy(queues[i]);
    guest_close(&guest);
}

/* A context alternates between a queue and a plain switch, on one and on two threads. */
static void mixes_with_switch(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter = {0};
    tg_queue *queue;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    waiter.queue = queue;
    waiter.guest = &guest;
    for (i = 1; i <= 30; i++) {
        if (i % 3 == 0) {
            GUEST_RUN_TO_CALL(&guest);
        } else {
            if (i % 3 == 1)
                submit_and_take(&waiter);
            else
                run_in_thread(submit_and_take, &waiter);
            guest.event = waiter.event;
        }
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* Who waits in a switch gets a stub thread too, whatever those that the queue keeps busy think of it. */
static void switch_beside_a_queue(uint32_t backend)
{
    enum { CALLERS = 4, ROUNDS = 200 };
    struct guest guest;
    tg_context *spinner;
    tg_queue *queue;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    spinner = create_counter(guest.platform, CALLERS);
    CHECK_OK(tg_context_start(spinner, OTHER_CODE_AT, GUEST_STACK_TOP));
    CHECK_OK(tg_queue_submit(queue, spinner, guest.subprocess));
    for (i = 1; i <= 5; i++) {
        drive_many(&guest, queue, CALLERS, (unsigned int)scaled(ROUNDS));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case queue_beside_cases[] = {
    {"queue.side_by_side", "Several queues of one platform keep their events apart", queues_side_by_side},
    {"queue.mixed_with_switch", "A context may alternate between queue and switch, and between threads",
     mixes_with_switch},
    {"queue.switch_beside", "A switch comes back while the queue's contexts of the same subprocess keep it busy",
     switch_beside_a_queue},
    {0},
};
