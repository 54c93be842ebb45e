/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Two threads meet at one context. One of them is delayed behind another of
 * its instructions each time (delay.h), so that the few that matter are found.
 */
#include <string.h>
#include <time.h>

#include "../cases.h"
#include "../queue_drive.h"
#include "arch.h"
#include "delay.h"
#include "guests_x86_64.h"
#include "scale.h"
#include "threads.h"

#define COUNTING      UINT64_MAX /* delay.after: nothing is delayed */
#define ROUNDS        149
/* ptrace: one thread has what a queue's contexts left, and no other looks at it. */
#define ROUNDS_PTRACE 9
#define SCATTERING    0x9e3779b97f4a7c15 /* times 1, 2, 3 and so on: everywhere, and in step with no loop */
#define EVENTS        8
#define RESTING       24

/* The thread that is delayed has a queue of its own, in the same subprocess. */
struct delayed {
    const struct guest *guest;
    tg_context *context;
    struct delay delay;
    uint64_t all; /* instructions without a delay */
};

/* In the first round the instructions are counted. */
static unsigned int rounds_on(uint32_t backend)
{
    return 1 + (unsigned int)scaled(backend == TG_BACKEND_PTRACE ? ROUNDS_PTRACE : ROUNDS);
}

static void begin_round(struct delayed *delayed, unsigned int round)
{
    if (round == 1)
        delayed->all = delayed->delay.steps;
    delayed->delay = (struct delay){.after = round ? (round * SCATTERING >> 32) * delayed->all >> 32 : COUNTING};
    check_context("round %u, after %llu of %llu instructions", round, (unsigned long long)delayed->delay.after,
                  (unsigned long long)delayed->all);
}

/* Its context has left an event when this returns, if it is given a processor. */
static tg_queue *submit_alone(const struct delayed *delayed)
{
    tg_queue *queue = create_queue(delayed->guest->platform);

    CHECK_OK(tg_queue_submit(queue, delayed->context, delayed->guest->subprocess));
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    return queue;
}

/* What both queues' contexts have left is there; this thread finds all of it. */
static void *poll_delayed(void *argument)
{
    struct delayed *delayed = argument;
    tg_queue *queue = submit_alone(delayed);
    tg_event events[EVENTS];
    size_t count;
    int result;

    for (size_t i = 0; i < EVENTS; i++)
        events[i] = new_event();
    delay_begin(&delayed->delay);
    result = tg_queue_wait(queue, events, EVENTS, 0, &count);
    delay_end(&delayed->delay);
    CHECK_OK(result);
    tg_queue_destroy(queue);
    return NULL;
}

static void destroy_beside_a_waiter(uint32_t backend)
{
    struct delayed delayed = {0};
    struct guest guest;

    delay_prepare();
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    delayed.guest = &guest;
    delayed.context = create_started_context(guest.platform);
    for (unsigned int round = 0; round < rounds_on(backend); round++) {
        tg_queue *queue = create_queue(guest.platform);
        pthread_t thread;

        begin_round(&delayed, round);
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        thread = start_thread(poll_delayed, &delayed);
        delay_is_held(&delayed.delay);
        /* Once this is back the context is nobody's, and its call has not been made. */
        tg_queue_destroy(queue);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], round + 1);
        delay_over(&delayed.delay);
        join_thread(thread);
    }
    tg_context_destroy(delayed.context);
    guest_close(&guest);
}

/* It looks at all contexts of the subprocess. */
static void *destroy_delayed(void *argument)
{
    struct delayed *delayed = argument;
    tg_queue *queue = submit_alone(delayed);

    delay_begin(&delayed->delay);
    tg_queue_destroy(queue);
    delay_end(&delayed->delay);
    return NULL;
}

/* They run until let_call(). */
static void submit_all(struct guest *guest, tg_queue *queue, tg_context *const contexts[RESTING])
{
    guest_store(guest->subprocess, GUEST_DATA_AT, 0);
    for (int i = 0; i < RESTING; i++) {
        CHECK_OK(tg_context_start(contexts[i], OTHER_CODE_AT, GUEST_STACK_TOP));
        arch_set_argument(contexts[i], 0, GUEST_DATA_AT);
        CHECK_OK(tg_queue_submit(queue, contexts[i], guest->subprocess));
    }
}

static void let_call(struct guest *guest, tg_queue *queue)
{
    guest_store(guest->subprocess, GUEST_DATA_AT, 1);
    for (int i = 0; i < RESTING; i++) {
        const tg_event event = wait_one(queue);

        CHECK_CALL(&event, GUEST_CALL);
    }
}

static void submit_beside_a_destroy(uint32_t backend)
{
    tg_context *contexts[RESTING];
    struct delayed delayed = {0};
    struct guest guest;
    tg_queue *queue;

    delay_prepare();
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(wait_for_word));
    delayed.guest = &guest;
    delayed.context = create_started_context(guest.platform);
    queue = create_queue(guest.platform);
    for (int i = 0; i < RESTING; i++)
        contexts[i] = create_context(guest.platform);
    submit_all(&guest, queue, contexts);
    let_call(&guest, queue);
    for (unsigned int round = 0; round < rounds_on(backend); round++) {
        pthread_t thread;
        bool held;

        begin_round(&delayed, round);
        thread = start_thread(destroy_delayed, &delayed);
        held = delay_is_held(&delayed.delay);
        /* What they left before is what the other may still look at. */
        if (held)
            submit_all(&guest, queue, contexts);
        delay_over(&delayed.delay);
        join_thread(thread);
        if (held)
            let_call(&guest, queue);
    }
    tg_queue_destroy(queue);
    tg_context_destroy(delayed.context);
    guest_close(&guest);
}

const struct test_case queue_race_cases[] = {
    {"queue.destroy_beside_waiter",
     "Destroying a queue waits for its contexts that another queue's waiter has in its hands at that moment",
     destroy_beside_a_waiter},
    {"queue.submit_beside_destroy",
     "Contexts that start while another thread looks at what they left before run on, and their subprocess lives",
     submit_beside_a_destroy},
    {0},
};
