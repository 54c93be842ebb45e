/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "timing.h"

#include <time.h>

/* Steps between two looks at the clock: rare enough not to be measured, often enough to end in time. */
#define STEPS_PER_LOOK 16

double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void sleep_seconds(double seconds)
{
    struct timespec rest = {.tv_sec = (time_t)seconds};

    rest.tv_nsec = (long)((seconds - (double)rest.tv_sec) * 1e9);
    nanosleep(&rest, NULL);
}

static double run_for(double seconds, void (*step)(void *state), void *state)
{
    double start = now_seconds();
    double elapsed;
    uint64_t steps = 0;

    do {
        for (unsigned i = 0; i < STEPS_PER_LOOK; i++)
            step(state);
        steps += STEPS_PER_LOOK;
        elapsed = now_seconds() - start;
    } while (elapsed < seconds);
    return elapsed * 1e9 / (double)steps;
}

double nanoseconds_per_step(const struct sample *sample, void (*step)(void *state), void *state)
{
    run_for(sample->seconds / 8, step, state);
    return run_for(sample->seconds, step, state);
}
