/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* computing.h - how long a computing guest computes; the same for ours and for the floor. */
#ifndef TRAPGATE_BENCH_COMPUTING_H
#define TRAPGATE_BENCH_COMPUTING_H

#include "benchmark.h"

/* The argument for bench_compute that takes three times the sample's time on a processor of its own. */
uint64_t compute_rounds(const struct sample *sample);

#endif
