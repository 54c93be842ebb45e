/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND  INT64_C(1000000000)
#define LOOKS_YIELDING 64
#define LOOK_PAUSE_NS  50000

static inline int64_t clock_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* Negative: never, which is INT64_MAX. */
static inline int64_t clock_deadline_ns(int64_t timeout_ns)
{
    int64_t now;

    if (timeout_ns < 0)
        return INT64_MAX;
    now = clock_monotonic_ns();
    return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

/* Between two looks, less than a second. A host that lets nobody sleep keeps no other thread from running either. */
static inline void clock_pause(int64_t ns)
{
    const struct timespec pause = {.tv_nsec = ns};

    if (nanosleep(&pause, NULL) && errno != EINTR)
        sched_yield();
}

/* Between two looks at what mostly is there at once, the first of which is number 0: gives way, then sleeps. */
static inline void clock_pause_between_looks(unsigned int look)
{
    if (look < LOOKS_YIELDING)
        sched_yield();
    else
        clock_pause(LOOK_PAUSE_NS);
}

#endif
