/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * hostile BACKEND CASE   runs one case: 0 right, 1 wrong, 77 skipped
 * hostile --list         the names
 */
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <trapgate/trapgate.h>

#include "backend_names.h"
#include "bounded.h"
#include "check.h"
#include "hostile.h"
#include "stress.h"
#include "threads.h"

#define THREADS_MOST 8 /* at once, the library's included */

static const struct hostile_case {
    const char *name;
    void (*run)(uint32_t backend);
} cases[] = {
    {"corrupt_control", hostile_corrupt_control},
    {"corrupt_workers", hostile_corrupt_workers},
    {"corrupt_slots", hostile_corrupt_slots},
    {"corrupt_fpstate", hostile_corrupt_fpstate},
    {"corrupt_stacks", hostile_corrupt_stacks},
    {"corrupt_everything", hostile_corrupt_everything},
    {"corrupt_answered", hostile_corrupt_answered},
    {"threads_killed", hostile_threads_killed},
    {"threads_stopped", hostile_threads_stopped},
    {"carried_unmapped", hostile_carried_unmapped},
    {"carried_forged", hostile_carried_forged},
    {"carried_lies", hostile_carried_lies},
    {"carried_elsewhere", hostile_carried_elsewhere},
    {"copied_unmapped", hostile_copied_unmapped},
    {"answers_change", hostile_answers_change},
    {"answers_forged", hostile_answers_forged},
    {"copied_lies", hostile_copied_lies},
    {"copied_elsewhere", hostile_copied_elsewhere},
    {"reset_leftovers", hostile_reset_leftovers},
    {"reset_runs_on", hostile_reset_runs_on},
    {"copied_for_ever", hostile_copied_for_ever},
    {"killed_unfetched", hostile_killed_unfetched},
    {"made_stopped", hostile_made_stopped},
    {"stopped_destroyed", hostile_stopped_destroyed},
    {"calls_from_guest", hostile_calls_from_guest},
    {"calls_from_stub", hostile_calls_from_stub},
    {"stub_code_anywhere", hostile_stub_code_anywhere},
    {"stub_pages_stay", hostile_stub_pages_stay},
    {"stepped_into_stub", hostile_stepped_into_stub},
    {"sealed", hostile_sealed},
    {"file_sealed", hostile_file_sealed},
    {"file_small", hostile_file_small},
    {"sigreturn_blocks_call", hostile_sigreturn_blocks_call},
    {"sigreturn_blocks_kick", hostile_sigreturn_blocks_kick},
    {"sigreturn_blocks_kick_destroyed", hostile_sigreturn_blocks_kick_destroyed},
    {"sigreturn_blocks_kick_unqueued", hostile_sigreturn_blocks_kick_unqueued},
    {"sigreturn_blocks_kick_closed", hostile_sigreturn_blocks_kick_closed},
    {"sigreturn_moves_stack", hostile_sigreturn_moves_stack},
    {"sigreturn_moves_stack_destroyed", hostile_sigreturn_moves_stack_destroyed},
    {"forged_answer", hostile_forged_answer},
    {"forged_held", hostile_forged_held},
    {"cleared_waiting", hostile_cleared_waiting},
    {"forged_event_killed", hostile_forged_event_killed},
    {"forged_gone", hostile_forged_gone},
    {"forged_signal", hostile_forged_signal},
    {"forged_registers", hostile_forged_registers},
    {"short_waits", hostile_short_waits},
    {"forged_times", hostile_forged_times},
    {"forged_done", hostile_forged_done},
    {"forged_nonsense", hostile_forged_nonsense},
    {"forged_running", hostile_forged_running},
    {"forged_kicks", hostile_forged_kicks},
    {"hidden_interrupt", hostile_hidden_interrupt},
    {"sigreturn_blocks_kick_queued", hostile_sigreturn_blocks_kick_queued},
    {"seems_moving", hostile_seems_moving},
    {"stopped_now_and_then", hostile_stopped_now_and_then},
    {"watched_often", hostile_watched_often},
    {"starved", hostile_starved},
    {"frozen_destroyed", hostile_frozen_destroyed},
    {"frozen_closed", hostile_frozen_closed},
    {"frozen_waited", hostile_frozen_waited},
    {"watched_without_proc", hostile_watched_without_proc},
    {"stopped_without_proc", hostile_stopped_without_proc},
    {"stopped_operations", hostile_stopped_operations},
    {"stopped_queue", hostile_stopped_queue},
    {"stopped_context", hostile_stopped_context},
    {"stopped_subprocess", hostile_stopped_subprocess},
    {"stopped_elsewhere", hostile_stopped_elsewhere},
    {"stopped_backlog", hostile_stopped_backlog},
    {"stopped_backlog_served", hostile_stopped_backlog_served},
    {"stopped_backlog_left", hostile_stopped_backlog_left},
    {"stopped_backlog_long", hostile_stopped_backlog_long},
    {"stopped_backlog_needed", hostile_stopped_backlog_needed},
    {"stopped_hot_call", hostile_stopped_hot_call},
    {"stopped_hot_call_left", hostile_stopped_hot_call_left},
    {"patched_orders", hostile_patched_orders},
    {"patched_never_writable", hostile_patched_never_writable},
    {"many_in_one", hostile_many_in_one},
    {"many_on_queue", hostile_many_on_queue},
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

uint64_t hostile_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t hostile_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t seed =
        hostile_setting("HOSTILE_SEED", (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    printf("HOSTILE_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

void need_shared_memory(uint32_t backend)
{
    if (backend != TG_BACKEND_SYSTRAP)
        SKIP("guests of this backend can write no memory that the library reads");
}

static void *meet(void *barrier)
{
    pthread_barrier_wait(barrier);
    return NULL;
}

/* The C library keeps the stacks of threads that have ended: they are there before anybody counts mappings. */
static void warm_up_threads(void)
{
    pthread_barrier_t barrier;
    pthread_t threads[THREADS_MOST];
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS_MOST), 0);
    for (size_t i = 0; i < THREADS_MOST; i++)
        threads[i] = start_thread(meet, &barrier);
    for (size_t i = 0; i < THREADS_MOST; i++)
        join_thread(threads[i]);
    pthread_barrier_destroy(&barrier);
}

static int list(void)
{
    for (size_t i = 0; i < CASE_COUNT; i++)
        puts(cases[i].name);
    return 0;
}

static void skip_unless_available(uint32_t backend)
{
    tg_probe probe = {.size = sizeof(probe)};
    CHECK_OK(tg_platform_probe(backend, &probe));
    if (!probe.available)
        SKIP("%s: %s", probe.step, probe.reason);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    const uint32_t backend = argc == 3 ? backend_by_name(argv[1]) : TG_BACKEND_AUTO;
    if (backend == TG_BACKEND_AUTO) {
        fprintf(stderr, "usage: hostile ptrace|systrap CASE\n       hostile --list\n");
        return 2;
    }
    /* One arena: what threads allocate then shows in the footprint as little as it can. */
    mallopt(M_ARENA_MAX, 1);
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (strcmp(cases[i].name, argv[2]) != 0)
            continue;
        skip_unless_available(backend);
        bounded_start();
        warm_up_threads();
        cases[i].run(backend);
        return 0;
    }
    fprintf(stderr, "no case is called %s\n", argv[2]);
    return 2;
}
