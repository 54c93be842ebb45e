/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* timing.h - the clock, and the loop that every latency is measured with. */
#ifndef TRAPGATE_BENCH_TIMING_H
#define TRAPGATE_BENCH_TIMING_H

#include "benchmark.h"

double now_seconds(void);
void sleep_seconds(double seconds);

/* The ns that one step takes, over about sample->seconds and after a warm-up of an eighth of that. */
double nanoseconds_per_step(const struct sample *sample, void (*step)(void *state), void *state);

#endif
