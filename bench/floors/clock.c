/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../guest_programs.h"
#include "../host_vdso.h"
#include "../sample.h"
#include "../timing.h"
#include "floors.h"

static void step_looks(void *state)
{
    clock_function *const *look = state;
    struct timespec time;

    for (int i = 0; i < LOOKS_AT_ONCE; i++)
        (*look)(CLOCK_MONOTONIC, &time);
}

double floor_clock(const struct sample *sample)
{
    clock_function *look = host_vdso_clock();

    return nanoseconds_per_step(sample, step_looks, &look) / LOOKS_AT_ONCE;
}
