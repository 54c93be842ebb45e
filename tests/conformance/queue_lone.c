/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue with one context, as a program of one thread makes it, and the moments when it stops being alone. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

#define ROUNDS         1000
#define SLEEPING_EACH  40 /* of these rounds one is submitted when the waiter sleeps */
#define SLEEPING_NS    200000
#define COMPUTING      50000 /* rounds of a guest, longer than a waiter looks for its event */
#define DESCRIPTORS    50
#define BEFORE_MOST_NS 100000

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* ---- one thread submits, another waits ---- */

struct relay {
    struct guest guest;
    tg_queue *queue;
    _Atomic uint64_t taken;
};

static void *take_events(void *argument)
{
    struct relay *relay = argument;

    for (uint64_t i = 1; i <= ROUNDS; i++) {
        tg_event event = wait_one(relay->queue);

        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
        atomic_store(&relay->taken, i);
    }
    return NULL;
}

static void to_another_thread(uint32_t backend)
{
    struct relay relay = {.taken = 0};
    pthread_t taker;

    guest_open(&relay.guest, backend, GUEST_CODE(counting_calls));
    relay.queue = create_queue(relay.guest.platform);
    taker = start_thread(take_events, &relay);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        if (i % SLEEPING_EACH == 0)
            pause_ns(SLEEPING_NS);
        CHECK_OK(tg_queue_submit(relay.queue, relay.guest.context, relay.guest.subprocess));
        while (atomic_load(&relay.taken) != i)
            sched_yield();
    }
    join_thread(taker);
    tg_queue_destroy(relay.queue);
    guest_close(&relay.guest);
}

/* ---- not alone any more ---- */

/* The second comes while the first runs; either may be alone when it is submitted again. */
static void joined_by_another(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_context *contexts[2];
    uint64_t calls[2] = {0};

    guest_open(&guest, backend, GUEST_CODE(compute_calls));
    queue = create_queue(guest.platform);
    for (uint64_t i = 0; i < 2; i++) {
        contexts[i] = create_counter(guest.platform, i);
        arch_set_argument(contexts[i], 0, i ? COMPUTING : 1);
        CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
    }
    while (calls[0] < ROUNDS || calls[1] < ROUNDS / SLEEPING_EACH) {
        tg_event event = wait_one(queue);

        CHECK_CALL(&event, GUEST_CALL);
        CHECK(event.user_data < 2);
        calls[event.user_data]++;
        CHECK_OK(tg_queue_submit(queue, event.context, guest.subprocess));
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* Whoever has the event may do away with the context, and the queue knows nothing of it any more. */
static void destroyed_after_its_event(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    for (int i = 0; i < ROUNDS / 10; i++) {
        tg_context *context = create_counter(guest.platform, 0);
        tg_event event;

        CHECK_OK(tg_queue_submit(queue, context, guest.subprocess));
        event = wait_one(queue);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK(event.context == context);
        tg_context_destroy(context);
        CHECK_EQ(wait_events(queue, &event, 1, 0), 0);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* ---- a service takes over ---- */

struct opening {
    tg_queue *queue;
    long after_ns;
    int fd;
};

static void *open_descriptor(void *argument)
{
    struct opening *opening = argument;

    pause_ns(opening->after_ns);
    /* Busy while the other thread waits; on ptrace also while a context runs. */
    while ((opening->fd = tg_queue_fd(opening->queue)) == -EBUSY)
        pause_ns(1000);
    CHECK(opening->fd >= 0);
    return NULL;
}

/* Busy while the other thread opens the descriptor. */
static tg_event wait_beside_opener(tg_queue *queue)
{
    tg_event event = new_event();
    size_t count = 0;
    int err;

    while ((err = tg_queue_wait(queue, &event, 1, FOREVER, &count)) == -EBUSY)
        pause_ns(1000);
    CHECK_OK(err);
    CHECK_EQ(count, 1);
    return event;
}

/* The descriptor is asked for at any moment of a context's round. */
static void beside_a_new_descriptor(uint32_t backend)
{
    struct guest guest;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (long round = 0; round < DESCRIPTORS; round++) {
        struct opening opening = {
            .queue = create_queue(guest.platform),
            .after_ns = round * BEFORE_MOST_NS / DESCRIPTORS,
        };
        pthread_t opener = start_thread(open_descriptor, &opening);
        struct pollfd ready = {.events = POLLIN};

        for (int i = 0; i < ROUNDS / DESCRIPTORS; i++) {
            CHECK_OK(tg_queue_submit(opening.queue, guest.context, guest.subprocess));
            event = wait_beside_opener(opening.queue);
            CHECK_CALL(&event, GUEST_CALL);
        }
        join_thread(opener);
        CHECK_OK(tg_queue_submit(opening.queue, guest.context, guest.subprocess));
        ready.fd = opening.fd;
        CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
        event = wait_one(opening.queue);
        CHECK_CALL(&event, GUEST_CALL);
        tg_queue_destroy(opening.queue);
    }
    guest_close(&guest);
}

const struct test_case queue_lone_cases[] = {
    {"queue.lone_to_another_thread", "One thread submits a context, and another takes its events", to_another_thread},
    {"queue.lone_joined", "A context that was alone in its queue is joined by one that computes", joined_by_another},
    {"queue.lone_destroyed", "A context may be destroyed as soon as its event is there", destroyed_after_its_event},
    {"queue.lone_descriptor", "A queue's descriptor is asked for while its only context runs", beside_a_new_descriptor},
    {0},
};
