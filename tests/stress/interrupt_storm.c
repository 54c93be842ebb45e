/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Interrupts at every moment of a switch. Each burst of calls gives at least
 * one INTERRUPTED event and never more events than calls; an event that comes
 * with the pending flag is followed by INTERRUPTED before the guest runs on.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"
#include "clock.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define VICTIMS      4
#define BURSTS       2500 /* for each victim */
#define BURST_MAX    3
#define PAUSE_MAX_NS 200000
#define LOST_AFTER   INT64_C(20000000000)
#define CALM_TURNS   50
#define FOREVER      (-1)

/* Where the guest is, to see that it did not run. */
struct standstill {
    uint64_t ip;
    unsigned int count;
    uint64_t words[ARCH_MAX_WORDS];
};

struct victim {
    struct soaker soaker;
    tg_subprocess *subprocess;
    bool pending; /* the last event said that an interrupt waits */
    struct standstill at;
    uint64_t random;
    size_t bursts;
    _Atomic size_t called; /* counted before each call */
    _Atomic size_t interrupted;
    _Atomic bool calm; /* its storm is over */
    pthread_t storm;
    pthread_t runner;
};

struct weather {
    tg_platform *platform;
    struct victim victims[VICTIMS];
};

static struct standstill standstill_of(const tg_context *context)
{
    struct standstill at = {.ip = arch_ip(context)};
    at.count = arch_register_words(context, false, at.words);
    return at;
}

static void check_standstill(const struct victim *victim)
{
    const struct standstill now = standstill_of(victim->soaker.context);
    CHECK_EQ(now.ip, victim->at.ip);
    CHECK_EQ(now.count, victim->at.count);
    CHECK_BYTES(now.words, victim->at.words, now.count * sizeof(now.words[0]));
}

static void take_event(struct victim *victim, const tg_event *event)
{
    if (victim->pending) {
        CHECK_KIND(event, TG_EVENT_INTERRUPTED);
        check_standstill(victim);
    }
    if (event->kind == TG_EVENT_INTERRUPTED)
        CHECK(atomic_fetch_add(&victim->interrupted, 1) + 1 <= atomic_load(&victim->called));
    else
        soaker_answer(&victim->soaker, event);
    victim->pending = event->flags & TG_FLAG_INTERRUPT_PENDING;
    if (victim->pending)
        victim->at = standstill_of(victim->soaker.context);
}

static void burst(struct victim *victim)
{
    const size_t before = atomic_load(&victim->interrupted);
    const size_t calls = 1 + next_number(&victim->random) % BURST_MAX;
    for (size_t i = 0; i < calls; i++) {
        atomic_fetch_add(&victim->called, 1);
        CHECK_OK(tg_context_interrupt(victim->soaker.context));
    }
    const int64_t deadline = clock_ns() + LOST_AFTER;
    while (atomic_load(&victim->interrupted) == before) {
        if (clock_ns() > deadline)
            check_failed(CHECK_HERE, "an interrupt is lost after %zu calls and %zu events",
                         atomic_load(&victim->called), before);
        pause_ns(20000);
    }
}

static void *storm(void *argument)
{
    struct victim *victim = argument;
    for (size_t i = 0; i < victim->bursts; i++) {
        burst(victim);
        pause_ns((int64_t)(next_number(&victim->random) % PAUSE_MAX_NS));
    }
    atomic_store(&victim->calm, true);
    return NULL;
}

static void *run_until_calm(void *argument)
{
    struct victim *victim = argument;
    while (!atomic_load(&victim->calm)) {
        tg_event event;
        run_context(victim->soaker.context, victim->subprocess, &event);
        take_event(victim, &event);
    }
    return NULL;
}

static void weather_open(struct weather *weather, uint32_t backend)
{
    memset(weather, 0, sizeof(*weather));
    weather->platform = open_platform(backend, 0);
    for (size_t i = 0; i < VICTIMS; i++) {
        struct victim *victim = &weather->victims[i];
        victim->subprocess = create_loaded_subprocess(weather->platform, soak_slow_code());
        victim->random = i;
        victim->bursts = scaled(BURSTS);
        soaker_open(&victim->soaker, weather->platform, i << 32);
        CHECK_OK(tg_context_set_user_data(victim->soaker.context, i));
    }
}

/* With nobody calling any more: what is left comes out once, then five calls count as one. */
static void check_calm(struct victim *victim)
{
    tg_event event;
    do {
        run_context(victim->soaker.context, victim->subprocess, &event);
        take_event(victim, &event);
    } while (event.kind == TG_EVENT_INTERRUPTED || victim->pending);
    for (int i = 0; i < 5; i++)
        CHECK_OK(tg_context_interrupt(victim->soaker.context));
    run_context(victim->soaker.context, victim->subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    for (int i = 0; i < CALM_TURNS; i++)
        soaker_turn(&victim->soaker, victim->subprocess);
}

static void weather_close(struct weather *weather)
{
    size_t called = 0;
    size_t interrupted = 0;
    for (size_t i = 0; i < VICTIMS; i++) {
        struct victim *victim = &weather->victims[i];
        check_calm(victim);
        called += atomic_load(&victim->called);
        interrupted += atomic_load(&victim->interrupted);
        soaker_close(&victim->soaker);
        tg_subprocess_destroy(victim->subprocess);
    }
    tg_platform_close(weather->platform);
    printf("%zu calls of interrupt came out as %zu events\n", called, interrupted);
}

static void start_storms(struct weather *weather)
{
    for (size_t i = 0; i < VICTIMS; i++)
        weather->victims[i].storm = start_thread(storm, &weather->victims[i]);
}

static void join_storms(struct weather *weather)
{
    for (size_t i = 0; i < VICTIMS; i++)
        join_thread(weather->victims[i].storm);
}

void stress_interrupt_storm(uint32_t backend)
{
    struct weather weather;
    weather_open(&weather, backend);
    for (size_t i = 0; i < VICTIMS; i++)
        weather.victims[i].runner = start_thread(run_until_calm, &weather.victims[i]);
    start_storms(&weather);
    join_storms(&weather);
    for (size_t i = 0; i < VICTIMS; i++)
        join_thread(weather.victims[i].runner);
    weather_close(&weather);
}

static void submit(tg_queue *queue, struct victim *victim)
{
    CHECK_OK(tg_queue_submit(queue, victim->soaker.context, victim->subprocess));
}

static void wait_on_queue(struct weather *weather, tg_queue *queue)
{
    size_t running = VICTIMS;
    while (running > 0) {
        tg_event event = new_event();
        size_t count = 0;
        CHECK_OK(tg_queue_wait(queue, &event, 1, FOREVER, &count));
        CHECK_EQ(count, 1);
        CHECK(event.user_data < VICTIMS);
        struct victim *victim = &weather->victims[event.user_data];
        take_event(victim, &event);
        if (atomic_load(&victim->calm))
            running--;
        else
            submit(queue, victim);
    }
}

void stress_interrupt_storm_on_queue(uint32_t backend)
{
    struct weather weather;
    tg_queue *queue = NULL;
    weather_open(&weather, backend);
    CHECK_OK(tg_queue_create(weather.platform, &queue));
    for (size_t i = 0; i < VICTIMS; i++)
        submit(queue, &weather.victims[i]);
    start_storms(&weather);
    wait_on_queue(&weather, queue);
    join_storms(&weather);
    tg_queue_destroy(queue);
    weather_close(&weather);
}
