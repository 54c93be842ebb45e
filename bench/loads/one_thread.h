/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* one_thread.h - the loop of the loads that have one thread; `call` is inlined into it. */
#ifndef TRAPGATE_BENCH_ONE_THREAD_H
#define TRAPGATE_BENCH_ONE_THREAD_H

#include "load.h"

static inline __attribute__((always_inline)) double ns_per_call(double seconds, long (*call)(void))
{
    double start = load_seconds_now();
    double elapsed;
    uint64_t calls = 0;

    do {
        for (unsigned i = 0; i < CALLS_PER_LOOK; i++)
            call();
        calls += CALLS_PER_LOOK;
        elapsed = load_seconds_now() - start;
    } while (elapsed < seconds);
    return elapsed * 1e9 / (double)calls;
}

static inline __attribute__((always_inline)) int report_ns_per_call(double seconds, long (*call)(void))
{
    ns_per_call(seconds / 8, call);
    printf("%.1f\n", ns_per_call(seconds, call));
    return 0;
}

#endif
