/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Several platforms at once, opened and closed by several threads; closing takes down what is left on each. */
#include <stdio.h>

#include "footprint.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define THREADS 4
#define ROUNDS  50 /* of each thread */
#define LEFT    3  /* handles of each kind that nobody destroys before closing */

struct opener {
    uint32_t backend;
    size_t rounds;
    pthread_t thread;
};

static void leave_handles(tg_platform *platform, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct soaker soaker;
        tg_queue *queue = NULL;
        tg_subprocess *subprocess = create_loaded_subprocess(platform, soak_code());
        soaker_open(&soaker, platform, i << 32);
        soaker_turn(&soaker, subprocess);
        CHECK_OK(tg_queue_create(platform, &queue));
        /* One runs while the platform closes. */
        CHECK_OK(tg_queue_submit(queue, soaker.context, subprocess));
    }
}

static void *open_and_close(void *argument)
{
    const struct opener *opener = argument;
    for (size_t i = 0; i < opener->rounds; i++) {
        tg_platform *first = open_platform(opener->backend, 0);
        tg_platform *second = open_platform(opener->backend, 0);
        leave_handles(first, LEFT);
        leave_handles(second, i % LEFT);
        tg_platform_close(first);
        leave_handles(second, 1);
        tg_platform_close(second);
    }
    return NULL;
}

static void run_openers(uint32_t backend, size_t rounds)
{
    struct opener openers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        openers[i] = (struct opener){.backend = backend, .rounds = rounds};
        openers[i].thread = start_thread(open_and_close, &openers[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        join_thread(openers[i].thread);
}

void stress_many_platforms(uint32_t backend)
{
    run_openers(backend, 1);
    const struct footprint before = footprint_take();
    run_openers(backend, scaled(ROUNDS));
    footprint_check(&before);
    printf("%zu platforms opened and closed\n", 2 * THREADS * scaled(ROUNDS));
}
