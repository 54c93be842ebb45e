/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Subprocesses of a queue beside one that always has events: their share of them, and of what keeps them going. */
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guests.h"
#include "queue_drive.h"

#define ROUNDS      40
#define CROWDS_MOST 5
#define CALLS_MOST  64
#define SETTLE_LOOK 100 /* of a millisecond each, at most: a round without an event of theirs is allowed */

/* Contexts of one subprocess that make calls for ever. */
struct crowd {
    tg_subprocess *subprocess;
    size_t callers;
    bool interrupted; /* before each submit */
    uint64_t events;
};

/* A queue, and the crowds that share it. */
struct market {
    tg_platform *platform;
    tg_queue *queue;
    size_t capacity;
    struct crowd crowds[CROWDS_MOST];
    size_t crowd_count;
    struct {
        tg_context *context;
        struct crowd *crowd;
        uint64_t word; /* of its subprocess: it writes there, then it calls */
    } callers[CALLS_MOST];
    size_t caller_count;
};

static void submit_caller(struct market *market, size_t index)
{
    const struct crowd *crowd = market->callers[index].crowd;

    guest_store(crowd->subprocess, market->callers[index].word, 0);
    if (crowd->interrupted)
        CHECK_OK(tg_context_interrupt(market->callers[index].context));
    CHECK_OK(tg_queue_submit(market->queue, market->callers[index].context, crowd->subprocess));
}

static struct crowd *add_crowd(struct market *market, size_t callers)
{
    struct crowd *crowd = &market->crowds[market->crowd_count++];

    crowd->subprocess = create_loaded_subprocess(market->platform, GUEST_CODE(write_calls));
    crowd->callers = callers;
    for (size_t i = 0; i < callers; i++) {
        const size_t index = market->caller_count++;

        CHECK(index < CALLS_MOST);
        market->callers[index].context = create_counter(market->platform, index);
        market->callers[index].crowd = crowd;
        market->callers[index].word = GUEST_DATA_AT + i * sizeof(uint64_t);
        arch_set_argument(market->callers[index].context, 0, market->callers[index].word);
        arch_set_argument(market->callers[index].context, 1, 1);
    }
    return crowd;
}

static void market_open(struct market *market, uint32_t backend, size_t capacity)
{
    tg_event event;

    *market = (struct market){.platform = open_platform(backend, 0), .capacity = capacity};
    market->queue = create_queue(market->platform);
    /* From now on this thread starts what it submits, also where only one that has waited does. */
    CHECK_EQ(wait_events(market->queue, &event, 1, 0), 0);
}

static void market_close(struct market *market)
{
    tg_queue_destroy(market->queue);
    tg_platform_close(market->platform);
}

static void submit_all(struct market *market)
{
    for (size_t i = 0; i < market->caller_count; i++)
        submit_caller(market, i);
}

static bool all_have_called(const struct market *market)
{
    for (size_t i = 0; i < market->caller_count; i++) {
        const struct crowd *crowd = market->callers[i].crowd;

        if (!crowd->interrupted && guest_load(crowd->subprocess, market->callers[i].word) == 0)
            return false;
    }
    return true;
}

/* The embedder has something else to do: whoever can leave an event has left one. */
static void settle(const struct market *market)
{
    for (int i = 0; i < SETTLE_LOOK; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (all_have_called(market))
            return;
    }
}

/* One wait, whose events are served. What is no caller's is left alone. */
static void serve_round(struct market *market)
{
    tg_event events[CAPACITY];
    const size_t count = wait_events(market->queue, events, market->capacity, FOREVER);

    for (size_t i = 0; i < count; i++) {
        const size_t index = events[i].user_data;

        CHECK(index < market->caller_count);
        CHECK(events[i].context == market->callers[index].context);
        CHECK_KIND(&events[i], market->callers[index].crowd->interrupted ? TG_EVENT_INTERRUPTED : TG_EVENT_SYSCALL);
        market->callers[index].crowd->events++;
        submit_caller(market, index);
    }
}

/* In thousandths of an event a round: what a crowd could have if all shared alike, and its callers were enough. */
static uint64_t fair_share(const struct market *market, const struct crowd *crowd)
{
    const uint64_t share = 1000 * market->capacity / market->crowd_count;

    return share < 1000 * crowd->callers ? share : 1000 * crowd->callers;
}

static void serve_fairly(struct market *market)
{
    submit_all(market);
    for (int i = 0; i < ROUNDS; i++) {
        settle(market);
        serve_round(market);
    }
    for (size_t i = 0; i < market->crowd_count; i++) {
        const struct crowd *crowd = &market->crowds[i];

        check_context("crowd %zu of %zu, capacity %zu: %lu events in %d rounds", i, market->crowd_count,
                      market->capacity, (unsigned long)crowd->events, ROUNDS);
        CHECK(4000 * crowd->events >= ROUNDS * fair_share(market, crowd));
    }
}

static void one_beside_many(uint32_t backend)
{
    static const struct {
        size_t capacity;
        size_t callers;
    } shapes[] = {{8, 16}, {16, 48}, {1, 4}, {2, 16}};

    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        for (int order = 0; order < 2; order++) {
            struct market market;

            market_open(&market, backend, shapes[i].capacity);
            add_crowd(&market, order ? shapes[i].callers : 1);
            add_crowd(&market, order ? 1 : shapes[i].callers);
            serve_fairly(&market);
            market_close(&market);
        }
    }
}

static void many_alike(uint32_t backend)
{
    for (size_t capacity = 1; capacity <= 3; capacity++) {
        struct market market;

        market_open(&market, backend, capacity);
        for (int i = 0; i < CROWDS_MOST; i++)
            add_crowd(&market, 4);
        serve_fairly(&market);
        market_close(&market);
    }
}

/* Their events are there before they run. */
static void beside_interrupted(uint32_t backend)
{
    for (size_t capacity = 1; capacity <= 8; capacity *= 2) {
        struct market market;

        market_open(&market, backend, capacity);
        add_crowd(&market, 1);
        add_crowd(&market, 16)->interrupted = true;
        serve_fairly(&market);
        market_close(&market);
    }
}

static void with_descriptor(uint32_t backend)
{
    for (int order = 0; order < 2; order++) {
        struct market market;

        market_open(&market, backend, 2);
        CHECK(tg_queue_fd(market.queue) >= 0);
        add_crowd(&market, order ? 24 : 1);
        add_crowd(&market, order ? 1 : 24);
        serve_fairly(&market);
        market_close(&market);
    }
}

/*
 * As many computing contexts as processors keep all stub threads of the caller's subprocess, unless somebody sees to
 * it, while the queue has events of others whenever it is looked at. Without an end if nobody does.
 */
static void backlog_beside_busy(uint32_t backend)
{
    const long spinners = sysconf(_SC_NPROCESSORS_ONLN);
    struct market market;
    struct crowd *slow;

    market_open(&market, backend, 2);
    add_crowd(&market, 16);
    slow = add_crowd(&market, 1);
    load_code(slow->subprocess, OTHER_CODE_AT, GUEST_CODE(spin));
    for (long i = 0; i < spinners; i++) {
        tg_context *spinner = create_counter(market.platform, CALLS_MOST);

        CHECK_OK(tg_context_start(spinner, OTHER_CODE_AT, GUEST_STACK_TOP));
        CHECK_OK(tg_queue_submit(market.queue, spinner, slow->subprocess));
    }
    submit_all(&market);
    while (slow->events < 10) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        serve_round(&market);
    }
    market_close(&market);
}

/*
 * The thread that polls comes before the first stub thread of a subprocess has begun, and finds the context waiting:
 * that thread is for it. Only a few may be made in vain, for it can be seen in the moment between its beginning and its
 * taking the context.
 */
static void no_thread_in_vain(uint32_t backend)
{
    enum { SUBPROCESSES = 48 };
    tg_platform *platform = open_platform(backend, 0);
    tg_queue *queue = create_queue(platform);
    const uint64_t before = platform_stats(platform).stub_threads;
    uint64_t threads;

    if (backend != TG_BACKEND_SYSTRAP)
        SKIP("on this backend the thread that waits makes one stub thread for each context that runs");
    for (int i = 0; i < SUBPROCESSES; i++) {
        tg_event event;

        CHECK_OK(tg_queue_submit(queue, create_started_context(platform),
                                 create_loaded_subprocess(platform, GUEST_CODE(call_loop))));
        while (wait_events(queue, &event, 1, 0) == 0)
            ;
        CHECK_CALL(&event, GUEST_CALL);
    }
    threads = platform_stats(platform).stub_threads - before;
    check_context("%lu threads in %d subprocesses", (unsigned long)threads, SUBPROCESSES);
    CHECK(threads >= 2 * SUBPROCESSES);
    CHECK(threads - 2 * SUBPROCESSES <= SUBPROCESSES / 4);
    tg_queue_destroy(queue);
    tg_platform_close(platform);
}

const struct test_case queue_fair_cases[] = {
    {"queue.fair_one", "A context beside a subprocess that always has events gets its share, whatever the capacity",
     one_beside_many},
    {"queue.fair_many", "Subprocesses that always have events share small waits", many_alike},
    {"queue.fair_interrupted", "A context beside many that are interrupted again and again gets its share",
     beside_interrupted},
    {"queue.fair_fd", "With the descriptor in use the shares are the same", with_descriptor},
    {"queue.fair_backlog", "A caller beside contexts that compute gets its turns while others keep the queue busy",
     backlog_beside_busy},
    {"queue.threads", "A context that is submitted to a new subprocess gets one stub thread and not two",
     no_thread_in_vain},
    {0},
};
