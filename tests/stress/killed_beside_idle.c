/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A stub with threads of several embedder threads is killed while one of them
 * runs and the others rest: the one that runs is told within a second, though
 * nobody waits for what the others hold.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "clock.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define ROUNDS         20
#define NOTICED_WITHIN (INT64_C(10000000000))

struct home {
    tg_platform *platform;
    pthread_barrier_t step;
    tg_subprocess *subprocess;
    struct soaker soaker;
    int64_t noticed_at;
};

/* The thread that fills a subprocess is the first that traces in it. */
static void *settle_and_run(void *argument)
{
    struct home *home = argument;
    tg_event event;
    home->subprocess = create_loaded_subprocess(home->platform, soak_slow_code());
    soaker_turn(&home->soaker, home->subprocess);
    pthread_barrier_wait(&home->step);
    pthread_barrier_wait(&home->step);
    run_context(home->soaker.context, home->subprocess, &event);
    while (event.kind == TG_EVENT_SYSCALL) {
        soaker_answer(&home->soaker, &event);
        run_context(home->soaker.context, home->subprocess, &event);
    }
    home->noticed_at = clock_ns();
    CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
    return NULL;
}

static void kill_beside_idle(tg_platform *platform)
{
    struct home home = {.platform = platform};
    struct soaker visitor;
    CHECK_EQ(pthread_barrier_init(&home.step, NULL, 2), 0);
    soaker_open(&home.soaker, platform, 1);
    soaker_open(&visitor, platform, 2);
    const pthread_t thread = start_thread(settle_and_run, &home);
    pthread_barrier_wait(&home.step);
    soaker_turn(&visitor, home.subprocess);
    pthread_barrier_wait(&home.step);
    pause_ns(1000000);
    const int32_t pid = tg_subprocess_pid(home.subprocess);
    CHECK(pid > 0);
    const int64_t killed_at = clock_ns();
    CHECK_SYSTEM(kill(pid, SIGKILL));
    join_thread(thread);
    CHECK(home.noticed_at - killed_at <= NOTICED_WITHIN);
    tg_subprocess_destroy(home.subprocess);
    soaker_close(&visitor);
    soaker_close(&home.soaker);
    CHECK_EQ(pthread_barrier_destroy(&home.step), 0);
}

void stress_killed_beside_idle(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    for (size_t i = 0; i < scaled(ROUNDS); i++)
        kill_beside_idle(platform);
    tg_platform_close(platform);
}
