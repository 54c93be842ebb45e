/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Code that contexts run through is made writable and executable again, taken
 * away and put back, copied by forks, while the library changes its system
 * calls; and contexts are interrupted meanwhile. The same code lies at several
 * places, some with the call across a page edge. Contexts check themselves.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "arch.h"
#include "clock.h"
#include "footprint.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define PLACES       6
#define PLACE_PAGES  3
#define PLACES_AT    0x50000000ull
#define SWITCHERS    3 /* contexts with a thread of their own */
#define QUEUED       4 /* contexts of one queue */
#define RACERS       (SWITCHERS + QUEUED)
#define ROUNDS       2000
#define LIMIT_NS     INT64_C(4000000000)
#define CHILD_TURNS  5
#define CALM_TURNS   12
#define PAUSE_MAX_NS 4000000
#define FOREVER      (-1)

struct racer {
    struct races *races;
    struct soaker soaker;
    uint64_t place; /* where its code starts */
    uint64_t random;
    uint64_t interrupted;
    uint64_t missed; /* times that its code was not there */
    pthread_t thread;
};

struct races {
    tg_platform *platform;
    tg_subprocess *subprocess;
    uint64_t page;
    uint64_t call_end; /* how far behind the start of the code the call ends */
    uint64_t places[PLACES];
    struct racer racers[RACERS];
    tg_queue *queue;
    _Atomic bool over;
    uint64_t forks;
    uint64_t deaths; /* of opening */
};

static size_t code_length(void)
{
    return (size_t)(soak_code().end - soak_code().start);
}

static uint64_t area_of(const struct races *races, size_t place)
{
    return PLACES_AT + place * (PLACE_PAGES + 1) * races->page;
}

/* Every second place has its call across the edge of two pages, each at another byte. */
static uint64_t place_of(const struct races *races, size_t place)
{
    const uint64_t edge = area_of(races, place) + races->page;
    const uint64_t in_second = place / 2;
    return place % 2 ? edge + in_second - races->call_end : area_of(races, place);
}

static void write_code(const struct races *races, size_t place)
{
    const struct guest_code code = soak_code();
    CHECK_OK(tg_subprocess_write(races->subprocess, races->places[place], code.start, code_length(), NULL));
}

static void protect_area(const struct races *races, size_t place, uint32_t prot)
{
    CHECK_OK(tg_subprocess_protect(races->subprocess, area_of(races, place), PLACE_PAGES * races->page, prot));
}

static void put_place(const struct races *races, size_t place)
{
    map_pages(races->subprocess, area_of(races, place), PLACE_PAGES * races->page, PROT_RW);
    write_code(races, place);
    protect_area(races, place, PROT_RX);
}

static void move_racer(struct racer *racer, uint64_t place)
{
    arch_set_ip(racer->soaker.context, arch_ip(racer->soaker.context) - racer->place + place);
    racer->place = place;
}

/* What a racer may meet besides its call: an interrupt, and code that is not there right now. */
static bool is_passing(struct racer *racer, const tg_event *event)
{
    if (event->kind == TG_EVENT_INTERRUPTED) {
        CHECK(arch_ip(racer->soaker.context) - racer->place < code_length());
        racer->interrupted++;
        return true;
    }
    if (event->kind != TG_EVENT_FAULT)
        return false;
    CHECK_EQ(event->u.fault.access, TG_ACCESS_EXEC);
    CHECK(event->u.fault.ip - racer->place < code_length());
    CHECK(event->u.fault.addr - racer->place < code_length());
    racer->missed++;
    return true;
}

/* A context that has stopped at its call may go on at another place: the code is the same. */
static void answer(struct racer *racer, const tg_event *event)
{
    if (is_passing(racer, event))
        return;
    soaker_answer(&racer->soaker, event);
    CHECK_EQ(event->u.syscall.ip, racer->place + racer->races->call_end);
    if (next_number(&racer->random) % 16 == 0)
        move_racer(racer, racer->races->places[next_number(&racer->random) % PLACES]);
}

static void *race_by_switch(void *argument)
{
    struct racer *racer = argument;
    tg_event event;
    while (!atomic_load(&racer->races->over)) {
        run_context(racer->soaker.context, racer->races->subprocess, &event);
        answer(racer, &event);
    }
    return NULL;
}

static void submit(struct races *races, struct racer *racer)
{
    CHECK_OK(tg_queue_submit(races->queue, racer->soaker.context, races->subprocess));
}

static void *race_by_queue(void *argument)
{
    struct races *races = argument;
    size_t running = QUEUED;
    for (size_t i = SWITCHERS; i < RACERS; i++)
        submit(races, &races->racers[i]);
    while (running > 0) {
        tg_event event = new_event();
        size_t count = 0;
        CHECK_OK(tg_queue_wait(races->queue, &event, 1, FOREVER, &count));
        CHECK_EQ(count, 1);
        CHECK(event.user_data < RACERS);
        answer(&races->racers[event.user_data], &event);
        if (atomic_load(&races->over))
            running--;
        else
            submit(races, &races->racers[event.user_data]);
    }
    return NULL;
}

/* The bytes that the guest would find are the original ones while it may write them. */
static void make_writable_and_back(const struct races *races, size_t place)
{
    unsigned char now[4096];
    CHECK(code_length() <= sizeof(now));
    protect_area(races, place, PROT_RW);
    CHECK_OK(tg_subprocess_read(races->subprocess, races->places[place], now, code_length(), NULL));
    CHECK_BYTES(now, soak_code().start, code_length());
    protect_area(races, place, PROT_RX);
}

static void take_away_and_put_back(const struct races *races, size_t place)
{
    CHECK_OK(tg_subprocess_unmap(races->subprocess, area_of(races, place), PLACE_PAGES * races->page));
    put_place(races, place);
}

/* One of the two pages of a call, or of code without one. */
static void touch_one_page(const struct races *races, size_t place, uint64_t number)
{
    const uint64_t page = area_of(races, place) + number % 2 * races->page;
    CHECK_OK(tg_subprocess_protect(races->subprocess, page, races->page, PROT_RW));
    CHECK_OK(tg_subprocess_protect(races->subprocess, page, races->page, PROT_RX));
}

/* A child has the code as it was at that moment, whatever was being changed. */
static void fork_and_use(struct races *races, size_t place)
{
    struct soaker soaker;
    tg_subprocess *child = NULL;
    CHECK_OK(tg_subprocess_fork(races->subprocess, &child));
    soaker_open(&soaker, races->platform, races->forks++);
    arch_set_ip(soaker.context, races->places[place]);
    for (int i = 0; i < CHILD_TURNS; i++)
        soaker_turn(&soaker, child);
    soaker_close(&soaker);
    tg_subprocess_destroy(child);
}

static void meddle(struct races *races, size_t rounds)
{
    const int64_t end = clock_ns() + LIMIT_NS;
    uint64_t random = 1;
    for (size_t round = 0; round < rounds && clock_ns() < end; round++) {
        const size_t place = next_number(&random) % PLACES;
        const uint64_t what = next_number(&random) % 32;
        CHECK_OK(tg_context_interrupt(races->racers[next_number(&random) % RACERS].soaker.context));
        if (what < 10)
            make_writable_and_back(races, place);
        else if (what < 16)
            take_away_and_put_back(races, place);
        else if (what < 24)
            touch_one_page(races, place, next_number(&random));
        else if (what < 26)
            fork_and_use(races, place);
        pause_ns((int64_t)(next_number(&random) % PAUSE_MAX_NS));
    }
    atomic_store(&races->over, true);
}

static void find_call(struct races *races)
{
    struct soaker soaker;
    soaker_open(&soaker, races->platform, 0);
    soaker_turn(&soaker, races->subprocess);
    races->call_end = arch_ip(soaker.context) - GUEST_CODE_AT;
    soaker_close(&soaker);
}

static void races_open(struct races *races, uint32_t backend)
{
    *races = (struct races){.platform = open_platform(backend, 0)};
    races->deaths = platform_stats(races->platform).deaths;
    races->page = platform_info(races->platform).page_size;
    races->subprocess = create_loaded_subprocess(races->platform, soak_code());
    CHECK_OK(tg_queue_create(races->platform, &races->queue));
    find_call(races);
    CHECK(races->call_end < races->page && code_length() <= races->page);
    for (size_t i = 0; i < PLACES; i++) {
        races->places[i] = place_of(races, i);
        put_place(races, i);
    }
    for (size_t i = 0; i < RACERS; i++) {
        struct racer *racer = &races->racers[i];
        *racer = (struct racer){.races = races, .random = i, .place = races->places[i % PLACES]};
        soaker_open(&racer->soaker, races->platform, i << 32);
        CHECK_OK(tg_context_set_user_data(racer->soaker.context, i));
        arch_set_ip(racer->soaker.context, racer->place);
    }
}

/* Nothing that happened was taken for something that forbids it. */
static void check_still_patching(const struct races *races)
{
    struct soaker soaker;
    tg_event event;
    if (!(platform_info(races->platform).capabilities & TG_CAP_PATCHING))
        return;
    soaker_open(&soaker, races->platform, 0);
    for (int i = 0; i < CALM_TURNS; i++) {
        run_context(soaker.context, races->subprocess, &event);
        soaker_answer(&soaker, &event);
    }
    CHECK(event.flags & TG_FLAG_PATCHED);
    soaker_close(&soaker);
}

static void races_close(struct races *races, bool report)
{
    const tg_stats stats = platform_stats(races->platform);
    uint64_t turns = 0;
    uint64_t interrupted = 0;
    uint64_t missed = 0;
    tg_queue_destroy(races->queue);
    for (size_t i = 0; i < RACERS; i++) {
        turns += races->racers[i].soaker.turns;
        interrupted += races->racers[i].interrupted;
        missed += races->racers[i].missed;
        soaker_close(&races->racers[i].soaker);
    }
    CHECK_EQ(stats.deaths, races->deaths);
    CHECK_EQ(stats.exceptions, 0);
    CHECK_EQ(stats.syscalls, turns + races->forks * CHILD_TURNS + 1);
    check_still_patching(races);
    tg_subprocess_destroy(races->subprocess);
    tg_platform_close(races->platform);
    if (report)
        printf("%llu turns, %llu patched, %llu sites; %llu interrupts, %llu times without code, %llu forks\n",
               (unsigned long long)turns, (unsigned long long)stats.patched_calls,
               (unsigned long long)stats.patch_sites, (unsigned long long)interrupted, (unsigned long long)missed,
               (unsigned long long)races->forks);
}

static void run_races(uint32_t backend, size_t rounds, bool report)
{
    static struct races races;
    pthread_t by_queue;
    races_open(&races, backend);
    for (size_t i = 0; i < SWITCHERS; i++)
        races.racers[i].thread = start_thread(race_by_switch, &races.racers[i]);
    by_queue = start_thread(race_by_queue, &races);
    meddle(&races, rounds);
    for (size_t i = 0; i < SWITCHERS; i++)
        join_thread(races.racers[i].thread);
    join_thread(by_queue);
    races_close(&races, report);
}

void stress_patch_races(uint32_t backend)
{
    /* The C library keeps the stacks of threads that have ended. */
    run_races(backend, 5, false);
    const struct footprint before = footprint_take();
    run_races(backend, scaled(ROUNDS), true);
    footprint_check(&before);
}
