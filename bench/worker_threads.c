/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "worker_threads.h"

#include <pthread.h>
#include <stdatomic.h>

#include "sample.h"
#include "timing.h"

enum phase {
    PHASE_WARM_UP,
    PHASE_TIMED,
    PHASE_OVER,
};

struct worker_phase {
    _Atomic int now;
};

struct worker {
    pthread_t thread;
    worker_function *work;
    void *state;
    unsigned index;
    const struct worker_phase *phase;
    uint64_t done;
};

static int phase_now(const struct worker_phase *phase)
{
    return atomic_load_explicit(&phase->now, memory_order_relaxed);
}

bool worker_stopped(const struct worker_phase *phase)
{
    return phase_now(phase) == PHASE_OVER;
}

uint64_t worker_counts(const struct worker_phase *phase)
{
    return phase_now(phase) == PHASE_TIMED;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;

    worker->done = worker->work(worker->state, worker->index, worker->phase);
    return NULL;
}

/* The clock runs in this thread alone, which sleeps meanwhile: the workers only look at one shared word. */
static double time_the_phases(struct worker_phase *phase, double seconds)
{
    double start, elapsed;

    sleep_seconds(seconds / 4);
    start = now_seconds();
    atomic_store(&phase->now, PHASE_TIMED);
    sleep_seconds(seconds);
    atomic_store(&phase->now, PHASE_OVER);
    elapsed = now_seconds() - start;
    return elapsed;
}

double worker_calls_per_second(const struct sample *sample, worker_function *work, void *state)
{
    struct worker_phase phase = {PHASE_WARM_UP};
    struct worker workers[WORKERS_MAX];
    unsigned count = (unsigned)sample->argument;
    uint64_t done = 0;
    double elapsed;

    sample_require(count <= WORKERS_MAX, "more workers than the table holds");
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){.work = work, .state = state, .index = i, .phase = &phase};
        sample_require(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) == 0, "pthread_create");
    }
    elapsed = time_the_phases(&phase, sample->seconds);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
    }
    return (double)done / elapsed;
}
