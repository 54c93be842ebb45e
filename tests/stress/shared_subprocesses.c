/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * More contexts than threads and more threads than processors, all of them
 * moving between the same few address spaces, with every register checked.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "footprint.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define THREADS      32
#define CONTEXTS     200
#define SUBPROCESSES 20
#define TURNS        100000
#define STAY_MAX     16 /* turns that a context stays with one thread and subprocess */

struct shared_context {
    pthread_mutex_t lock;
    struct soaker soaker;
};

struct mix {
    tg_platform *platform;
    tg_subprocess *subprocesses[SUBPROCESSES];
    struct shared_context contexts[CONTEXTS];
    size_t fpstate_size;
    size_t turns_per_thread;
};

struct mixer {
    struct mix *mix;
    uint64_t random;
    pthread_t thread;
};

static struct shared_context *claim_any(struct mixer *mixer)
{
    for (;;) {
        struct shared_context *shared = &mixer->mix->contexts[next_number(&mixer->random) % CONTEXTS];
        if (pthread_mutex_trylock(&shared->lock) == 0)
            return shared;
    }
}

/* Reading and setting back the FP state pulls it out of the stub and must change nothing. */
static void pull_fpstate(struct mixer *mixer, tg_context *context)
{
    const size_t size = mixer->mix->fpstate_size;
    void *state = malloc(size);
    CHECK(state != NULL);
    CHECK_OK(tg_context_get_fpstate(context, state, size));
    CHECK_OK(tg_context_set_fpstate(context, state, size));
    free(state);
}

static void *mix_contexts(void *argument)
{
    struct mixer *mixer = argument;
    size_t turns = 0;
    while (turns < mixer->mix->turns_per_thread) {
        struct shared_context *shared = claim_any(mixer);
        tg_subprocess *subprocess = mixer->mix->subprocesses[next_number(&mixer->random) % SUBPROCESSES];
        const size_t stay = 1 + next_number(&mixer->random) % STAY_MAX;
        for (size_t i = 0; i < stay; i++)
            soaker_turn(&shared->soaker, subprocess);
        if (next_number(&mixer->random) % 4 == 0)
            pull_fpstate(mixer, shared->soaker.context);
        CHECK_EQ(pthread_mutex_unlock(&shared->lock), 0);
        turns += stay;
    }
    return NULL;
}

static void mix_open(struct mix *mix, uint32_t backend, size_t turns)
{
    mix->platform = open_platform(backend, 0);
    mix->fpstate_size = platform_info(mix->platform).fpstate_size;
    mix->turns_per_thread = 1 + turns / THREADS;
    for (size_t i = 0; i < SUBPROCESSES; i++)
        mix->subprocesses[i] = create_loaded_subprocess(mix->platform, soak_code());
    for (size_t i = 0; i < CONTEXTS; i++) {
        CHECK_EQ(pthread_mutex_init(&mix->contexts[i].lock, NULL), 0);
        soaker_open(&mix->contexts[i].soaker, mix->platform, i << 32);
    }
}

static uint64_t mix_close(struct mix *mix)
{
    uint64_t turns = 0;
    for (size_t i = 0; i < CONTEXTS; i++) {
        turns += mix->contexts[i].soaker.turns;
        soaker_close(&mix->contexts[i].soaker);
        CHECK_EQ(pthread_mutex_destroy(&mix->contexts[i].lock), 0);
    }
    const tg_stats stats = platform_stats(mix->platform);
    CHECK_EQ(stats.syscalls, turns);
    CHECK_EQ(stats.faults + stats.exceptions + stats.interrupts + stats.deaths, 0);
    CHECK_EQ(stats.contexts, 0);
    for (size_t i = 0; i < SUBPROCESSES; i++)
        tg_subprocess_destroy(mix->subprocesses[i]);
    tg_platform_close(mix->platform);
    return turns;
}

static uint64_t run_mix(uint32_t backend, size_t turns)
{
    static struct mix mix;
    struct mixer mixers[THREADS];
    mix_open(&mix, backend, turns);
    for (size_t i = 0; i < THREADS; i++) {
        mixers[i] = (struct mixer){.mix = &mix, .random = i};
        mixers[i].thread = start_thread(mix_contexts, &mixers[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        join_thread(mixers[i].thread);
    return mix_close(&mix);
}

void stress_shared_subprocesses(uint32_t backend)
{
    /* The C library keeps the stacks of threads that have ended. */
    run_mix(backend, 1);
    const struct footprint before = footprint_take();
    const uint64_t turns = run_mix(backend, scaled(TURNS));
    footprint_check(&before);
    printf("%llu turns of %d contexts by %d threads in %d subprocesses\n", (unsigned long long)turns, CONTEXTS, THREADS,
           SUBPROCESSES);
}
