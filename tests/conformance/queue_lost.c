/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What an embedder does not fetch, or never sleeps for, is lost to nobody. */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

#define ROUNDS 20

/* Who has found the event that the embedder does not fetch. */
enum finder {
    NOBODY,
    DESCRIPTOR,
    OTHER_QUEUE,
    FINDERS,
};

static void settle(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* A wait on another queue whose contexts run in the same subprocess: it comes by what this one left. */
static void wait_on_other(struct guest *guest, tg_context *context)
{
    tg_queue *other = create_queue(guest->platform);
    tg_event event;

    CHECK_OK(tg_queue_submit(other, context, guest->subprocess));
    event = wait_one(other);
    CHECK_CALL(&event, GUEST_CALL);
    CHECK(event.context == context);
    tg_queue_destroy(other);
}

static void let_find(struct guest *guest, tg_queue *queue, enum finder finder, tg_context *other)
{
    struct pollfd ready = {.events = POLLIN};

    if (finder == DESCRIPTOR) {
        ready.fd = tg_queue_fd(queue);
        CHECK(ready.fd >= 0);
        CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
        return;
    }
    settle();
    if (finder == OTHER_QUEUE)
        wait_on_other(guest, other);
}

struct unseen {
    struct guest *guest;
    tg_queue *queue;
};

/* The guest calls when nobody looks any more. */
static void *run_unseen(void *arg)
{
    const struct unseen *unseen = arg;
    struct guest *guest = unseen->guest;
    tg_event event;

    CHECK_OK(tg_queue_submit(unseen->queue, guest->context, guest->subprocess));
    CHECK_EQ(wait_events(unseen->queue, &event, 1, 1000000), 0);
    guest_store(guest->subprocess, GUEST_DATA_AT, 1);
    settle();
    return NULL;
}

/* By the thread that ran them, or by another after that one has ended, which may fetch the event as well. */
static void unseen_calls_are_made_again(struct guest *guest)
{
    int i;

    load_code(guest->subprocess, OTHER_CODE_AT, GUEST_CODE(wait_for_word));
    for (i = 0; i < ROUNDS; i++) {
        struct unseen unseen = {.guest = guest, .queue = create_queue(guest->platform)};

        check_context("round %d of what nobody has seen", i);
        guest_store(guest->subprocess, GUEST_DATA_AT, 0);
        CHECK_OK(tg_context_start(guest->context, OTHER_CODE_AT, GUEST_STACK_TOP));
        arch_set_argument(guest->context, 0, GUEST_DATA_AT);
        if (i % 3)
            run_in_thread(run_unseen, &unseen);
        else
            run_unseen(&unseen);
        if (i % 3 == 2) {
            guest->event = wait_one(unseen.queue);
            CHECK_CALL(&guest->event, GUEST_CALL);
            CHECK_OK(tg_context_restart_syscall(guest->context));
        }
        tg_queue_destroy(unseen.queue);
        GUEST_RUN_TO_CALL(guest);
    }
}

static void calls_are_made_again(uint32_t backend)
{
    struct guest guest;
    tg_context *other;
    uint64_t calls = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    other = create_started_context(guest.platform);
    for (i = 0; i < ROUNDS * FINDERS; i++) {
        enum finder finder = (enum finder)(i % FINDERS);
        tg_queue *queue = create_queue(guest.platform);

        check_context("round %d, finder %d", i, finder);
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        let_find(&guest, queue, finder, other);
        tg_queue_destroy(queue);
        GUEST_RUN_TO_CALL(&guest);
        calls++;
        CHECK_EQ(guest.event.u.syscall.args[0], calls);
    }
    tg_context_destroy(other);
    unseen_calls_are_made_again(&guest);
    guest_close(&guest);
}

/* It was answered, by an event that nobody fetches: the next run answers it. */
static void interrupts_stay(uint32_t backend)
{
    struct guest guest;
    tg_context *other;
    int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(spin));
    other = create_started_context(guest.platform);
    for (i = 0; i < ROUNDS * FINDERS; i++) {
        enum finder finder = (enum finder)(i % FINDERS);
        tg_queue *queue = create_queue(guest.platform);

        check_context("round %d, finder %d", i, finder);
        CHECK_OK(tg_context_start(guest.context, OTHER_CODE_AT, GUEST_STACK_TOP));
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        CHECK_OK(tg_context_interrupt(guest.context));
        let_find(&guest, queue, finder, other);
        tg_queue_destroy(queue);
        guest_restart(&guest);
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        guest_run(&guest);
        CHECK_CALL(&guest.event, GUEST_CALL);
    }
    tg_context_destroy(other);
    guest_close(&guest);
}

/* As many spinners as there are processors keep all stub threads busy, unless somebody takes them away. */
static void poll_only(uint32_t backend)
{
    const long spinners = sysconf(_SC_NPROCESSORS_ONLN);
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    long i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    for (i = 0; i < spinners; i++)
        CHECK_OK(tg_queue_submit(queue, create_counter(guest.platform, 0), guest.subprocess));
    arch_set_ip(guest.context, OTHER_CODE_AT);
    for (i = 1; i <= ROUNDS; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        /* Without an end if it never gets a turn; then the case's time limit is one. */
        while (wait_events(queue, &event, 1, 0) == 0)
            ;
        CHECK(event.context == guest.context);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case queue_lost_cases[] = {
    {"queue.destroy_keeps_calls",
     "A call that nobody fetched before its queue went is made again, whoever had found it", calls_are_made_again},
    {"queue.destroy_keeps_interrupts", "An interrupt whose event nobody fetched before its queue went stays pending",
     interrupts_stay},
    {"queue.poll_only", "An embedder that only polls: a caller beside as many spinners as processors gets its turns",
     poll_only},
    {0},
};
