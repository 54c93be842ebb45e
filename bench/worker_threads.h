/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* worker_threads.h - `argument` threads that work at the same time, and how much they get done together. */
#ifndef TRAPGATE_BENCH_WORKER_THREADS_H
#define TRAPGATE_BENCH_WORKER_THREADS_H

#include <stdbool.h>

#include "benchmark.h"

#define WORKERS_MAX 64

struct worker_phase;

/* Works until worker_stopped(), adds worker_counts() for each piece of work, returns the sum. */
typedef uint64_t worker_function(void *state, unsigned index, const struct worker_phase *phase);

bool worker_stopped(const struct worker_phase *phase);

/* 1 while the timed part lasts; 0 while the others are still starting. */
uint64_t worker_counts(const struct worker_phase *phase);

double worker_calls_per_second(const struct sample *sample, worker_function *work, void *state);

#endif
