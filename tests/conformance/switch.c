/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A switch: what is counted and measured, and many of everything. What goes in and comes out is rows. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"

#define MANY_CONTEXTS  4200
#define MEASURED_CALLS 50
#define DELAY_US       40000
#define DELAY_BUCKET   24 /* from 17 ms on */
#define DELAY_TRIES    50

static void thousands_of_contexts(uint32_t backend)
{
    struct guest guest;
    tg_context **contexts = calloc(MANY_CONTEXTS, sizeof(*contexts));
    unsigned int i;

    CHECK(contexts != NULL);
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (i = 0; i < MANY_CONTEXTS; i++) {
        contexts[i] = create_started_context(guest.platform);
        CHECK_OK(tg_context_set_user_data(contexts[i], i));
    }
    CHECK_EQ(platform_stats(guest.platform).contexts, MANY_CONTEXTS + 1);
    for (i = 0; i < MANY_CONTEXTS; i++) {
        run_context(contexts[i], guest.subprocess, &guest.event);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.user_data, i);
    }
    for (i = 0; i < MANY_CONTEXTS; i++)
        tg_context_destroy(contexts[i]);
    CHECK_EQ(platform_stats(guest.platform).contexts, 1);
    guest_close(&guest);
    free(contexts);
}

static void several_platforms(uint32_t backend)
{
    struct guest first;
    struct guest second;
    tg_event event = new_event();

    guest_open(&first, backend, GUEST_CODE(counting_calls));
    guest_open(&second, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&first);
    GUEST_RUN_TO_CALL(&second);
    GUEST_RUN_TO_CALL(&first);
    CHECK_RESULT(tg_context_switch(first.context, second.subprocess, &event), -EINVAL);
    guest_close(&first);
    GUEST_RUN_TO_CALL(&second);
    CHECK_EQ(second.event.u.syscall.args[0], 2);
    guest_close(&second);
}

#define CALLS_COUNTED 100

/* How many of as many calls were patched. */
static uint64_t patched_of_calls(uint32_t backend, uint64_t flags, bool *could)
{
    struct guest guest;
    tg_stats stats;

    guest_open_flags(&guest, backend, flags, GUEST_CODE(counting_calls));
    for (int i = 0; i < CALLS_COUNTED; i++)
        GUEST_RUN_TO_CALL(&guest);
    stats = platform_stats(guest.platform);
    *could = platform_info(guest.platform).capabilities & TG_CAP_PATCHING;
    CHECK_EQ(stats.syscalls, CALLS_COUNTED);
    CHECK_EQ(stats.patched_calls + stats.unpatched_calls, CALLS_COUNTED);
    CHECK_EQ(stats.patch_sites, stats.patch_sites_before + stats.patch_sites_after);
    CHECK_EQ(stats.patch_sites > 0, stats.patched_calls > 0);
    guest_close(&guest);
    return stats.patched_calls;
}

static void calls_by_way(uint32_t backend)
{
    bool could;
    uint64_t patched = patched_of_calls(backend, 0, &could);

    if (!could)
        CHECK_EQ(patched, 0);
    CHECK_EQ(patched_of_calls(backend, TG_OPEN_NO_PATCHING, &could), 0);
    CHECK(!could);
}

static void any_time_to_spin(uint32_t backend)
{
    static const uint64_t times[] = {1, 1000000, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        const tg_platform_options options = {.size = sizeof(options), .backend = backend, .spin_ns = times[i]};
        struct guest guest = {0};

        CHECK_OK(tg_platform_open(&options, &guest.platform));
        guest.page = platform_info(guest.platform).page_size;
        guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
        guest.context = create_started_context(guest.platform);
        for (uint64_t call = 1; call <= 10; call++) {
            GUEST_RUN_TO_CALL(&guest);
            CHECK_EQ(guest.event.u.syscall.args[0], call);
        }
        guest_close(&guest);
    }
}

static void run_calls(struct guest *guest, uint64_t *number, int count)
{
    while (count--) {
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.args[0], ++*number);
    }
}

static void time_to_spin_changes(uint32_t backend)
{
    static const uint64_t times[] = {1, 0, 1000000, UINT64_MAX, 1};
    struct guest guest;
    tg_stats before;
    tg_stats after;
    uint64_t number = 0;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        run_calls(&guest, &number, 40);
        CHECK_OK(tg_platform_set_spin(guest.platform, times[i]));
    }
    /* A worker that was spinning still has left another event by then. */
    run_calls(&guest, &number, 2);
    before = platform_stats(guest.platform);
    run_calls(&guest, &number, 40);
    after = platform_stats(guest.platform);
    CHECK_EQ(after.failed_spins, before.failed_spins);
    CHECK_EQ(after.stub_spins, before.stub_spins);
    guest_close(&guest);
}

static uint64_t latencies(const tg_platform *platform)
{
    const tg_stats stats = platform_stats(platform);
    uint64_t sum = 0;

    for (int i = 0; i < TG_LATENCY_BUCKETS; i++)
        sum += stats.switch_latency[i];
    return sum;
}

static void latency_is_measured(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event = new_event();
    size_t count;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(latencies(guest.platform), 0);
    guest_close(&guest);

    guest_open_flags(&guest, backend, TG_OPEN_LATENCY, GUEST_CODE(counting_calls));
    CHECK_EQ(latencies(guest.platform), 0);
    for (int i = 0; i < 10; i++)
        GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(latencies(guest.platform), 10);
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(latencies(guest.platform), 11);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static uint64_t sum_from(const uint64_t histogram[TG_LATENCY_BUCKETS], int bucket)
{
    uint64_t sum = 0;

    for (int i = bucket; i < TG_LATENCY_BUCKETS; i++)
        sum += histogram[i];
    return sum;
}

/* The least time that what is in a histogram can have taken; for the longest possible time: twice that. */
static uint64_t least_ns(const uint64_t histogram[TG_LATENCY_BUCKETS])
{
    uint64_t sum = 0;

    for (int i = 1; i < TG_LATENCY_BUCKETS; i++)
        sum += histogram[i] << i;
    return sum;
}

static void check_no_handoffs(const tg_platform *platform)
{
    const tg_stats stats = platform_stats(platform);

    CHECK_EQ(sum_from(stats.resume_latency, 0), 0);
    CHECK_EQ(sum_from(stats.event_latency, 0), 0);
}

static void handoffs_unmeasured(uint32_t backend, uint64_t flags)
{
    struct guest guest;

    guest_open_flags(&guest, backend, flags, GUEST_CODE(counting_calls));
    for (int i = 0; i < MEASURED_CALLS; i++)
        GUEST_RUN_TO_CALL(&guest);
    check_no_handoffs(guest.platform);
    guest_close(&guest);
}

/* One each way for each start, and together no longer than the switches that they are part of. */
static void handoffs_add_up(struct guest *guest)
{
    tg_stats stats;

    for (int i = 0; i < MEASURED_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
    stats = platform_stats(guest->platform);
    CHECK_EQ(sum_from(stats.resume_latency, 0), MEASURED_CALLS + stats.spurious_stops);
    CHECK_EQ(sum_from(stats.event_latency, 0), MEASURED_CALLS + stats.spurious_stops);
    CHECK(least_ns(stats.resume_latency) + least_ns(stats.event_latency) <=
          2 * (least_ns(stats.switch_latency) + MEASURED_CALLS));
}

/* A stub that is stopped goes on late. */
static void late_resume_is_seen(struct guest *guest, tg_queue *queue)
{
    pid_t pid = tg_subprocess_pid(guest->subprocess);
    tg_event event = new_event();
    tg_stats stats;
    size_t count;

    CHECK_SYSTEM(kill(pid, SIGSTOP));
    while (proc_state(pid) != 'T')
        usleep(1000);
    usleep(DELAY_US); /* its other threads stop a little later */
    CHECK_OK(tg_queue_submit(queue, guest->context, guest->subprocess));
    usleep(DELAY_US);
    CHECK_SYSTEM(kill(pid, SIGCONT));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_CALL(&event, GUEST_CALL);
    stats = platform_stats(guest->platform);
    CHECK(sum_from(stats.resume_latency, DELAY_BUCKET) > 0);
}

/* An event that waits for somebody is taken late. More than one try: the guest may itself be kept from running. */
static void late_taking_is_seen(struct guest *guest, tg_queue *queue)
{
    for (int i = 0; i < DELAY_TRIES; i++) {
        tg_event event = new_event();
        tg_stats stats;
        size_t count;

        CHECK_OK(tg_queue_submit(queue, guest->context, guest->subprocess));
        usleep(DELAY_US);
        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
        CHECK_CALL(&event, GUEST_CALL);
        stats = platform_stats(guest->platform);
        if (sum_from(stats.event_latency, DELAY_BUCKET))
            return;
    }
    check_failed(CHECK_HERE, "no event was taken late");
}

static void handoffs_are_measured(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    handoffs_unmeasured(backend, 0);
    guest_open_flags(&guest, backend, TG_OPEN_LATENCY, GUEST_CODE(counting_calls));
    if (platform_info(guest.platform).capabilities & TG_CAP_TRAP_TSC)
        handoffs_unmeasured(backend, TG_OPEN_LATENCY | TG_OPEN_TRAP_TSC);
    check_no_handoffs(guest.platform);
    if (backend == TG_BACKEND_SYSTRAP) {
        handoffs_add_up(&guest);
        CHECK_OK(tg_queue_create(guest.platform, &queue));
        late_resume_is_seen(&guest, queue);
        late_taking_is_seen(&guest, queue);
        tg_queue_destroy(queue);
    } else {
        handoffs_unmeasured(backend, TG_OPEN_LATENCY);
    }
    guest_close(&guest);
}

const struct test_case switch_cases[] = {
    {"switch.thousands_of_contexts", "There is no limit at 4,096 contexts", thousands_of_contexts},
    {"switch.several_platforms", "Two platforms in one process do not disturb each other; handles do not mix",
     several_platforms},
    {"switch.statistics_calls", "Patched and other calls add up; with TG_OPEN_NO_PATCHING none is patched",
     calls_by_way},
    {"switch.spin_ns", "Calls arrive whatever time a side may spin", any_time_to_spin},
    {"switch.set_spin", "The time to spin changes between calls, and nobody spins when that is none",
     time_to_spin_changes},
    {"switch.latency", "With TG_OPEN_LATENCY each switch and submit is in the histogram, without it none",
     latency_is_measured},
    {"switch.latency_handoffs", "With it systrap measures both handoffs of each switch, and sees which one is late",
     handoffs_are_measured},
    {0},
};
