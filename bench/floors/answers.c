/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What an answered call consists of, and what it is instead of. */
#include <sys/syscall.h>
#include <unistd.h>

#include "../guest_programs.h"
#include "../timing.h"
#include "floors.h"
#include "handoff.h"

static void step_stores(void *state)
{
    volatile uint64_t *registers = state;

    for (int i = 0; i < ASKED_AT_ONCE; i++) {
        for (uint64_t r = 0; r < BARE_REGISTER_COUNT; r++)
            registers[r] = r;
        for (uint64_t r = 0; r < BARE_REGISTER_COUNT; r++)
            (void)registers[r];
    }
}

double floor_registers(const struct sample *sample)
{
    _Alignas(64) uint64_t registers[BARE_REGISTER_COUNT];

    return nanoseconds_per_step(sample, step_stores, registers) / ASKED_AT_ONCE;
}

static void step_calls(void *state)
{
    (void)state;
    for (int i = 0; i < ASKED_AT_ONCE; i++)
        syscall(SYS_gettid);
}

double floor_native_call(const struct sample *sample)
{
    return nanoseconds_per_step(sample, step_calls, NULL) / ASKED_AT_ONCE;
}
