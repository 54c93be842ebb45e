/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What ends while contexts are queued: the queue itself, or their subprocess. */
#include <poll.h>
#include <signal.h>

#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"

static void destroy_stops_contexts(uint32_t backend)
{
    enum { CONTEXTS = 8 };
    tg_context *contexts[CONTEXTS];
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    int look;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(counting_calls));
    for (look = 0; look < 2; look++) {
        queue = create_queue(guest.platform);
        for (i = 0; i < CONTEXTS; i++) {
            contexts[i] = create_counter(guest.platform, (uint64_t)i);
            CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
        }
        if (look)
            CHECK_EQ(wait_events(queue, &event, 1, 2000000), 0);
        tg_queue_destroy(queue);
        for (i = 0; i < CONTEXTS; i++) {
            CHECK_OK(tg_context_start(contexts[i], OTHER_CODE_AT, GUEST_STACK_TOP));
            run_context(contexts[i], guest.subprocess, &event);
            CHECK_CALL(&event, GUEST_CALL);
            CHECK_EQ(event.u.syscall.args[0], 1);
            tg_context_destroy(contexts[i]);
        }
    }
    guest_close(&guest);
}

static void fetched_events_are_not_needed(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    struct pollfd ready = {.events = POLLIN};

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    ready.fd = tg_queue_fd(queue);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
    /* The event is there and nobody takes it. */
    tg_queue_destroy(queue);
    run_context(guest.context, guest.subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
    guest_close(&guest);
}

static void death_comes_as_events(uint32_t backend)
{
    enum { CONTEXTS = 10 };
    struct guest guest;
    tg_subprocess *healthy;
    tg_context *survivor;
    tg_queue *queue;
    tg_event event;
    int dead = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    healthy = create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    for (i = 0; i < CONTEXTS; i++)
        CHECK_OK(tg_queue_submit(queue, create_counter(guest.platform, 1), guest.subprocess));
    CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    survivor = create_counter(guest.platform, 2);
    CHECK_OK(tg_queue_submit(queue, survivor, healthy));
    for (i = 0; i < CONTEXTS + 1; i++) {
        event = wait_one(queue);
        if (event.user_data == 2) {
            CHECK_CALL(&event, GUEST_CALL);
        } else {
            CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
            dead++;
        }
    }
    CHECK_EQ(dead, CONTEXTS);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    tg_queue_destroy(queue);
    tg_subprocess_destroy(healthy);
    guest_close(&guest);
}

const struct test_case queue_end_cases[] = {
    {"queue.destroy", "Destroying a queue stops its contexts; they run again elsewhere", destroy_stops_contexts},
    {"queue.destroy_with_events", "Events that nobody took go with the queue, the context stays usable",
     fetched_events_are_not_needed},
    {"queue.death", "When a stub dies each of its contexts gets one DEAD event, others go on", death_comes_as_events},
    {0},
};
