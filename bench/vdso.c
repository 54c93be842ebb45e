/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a look at the clock costs a guest that has a vDSO, the host's or the library's. */
#include <time.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "host_vdso.h"
#include "own_vdso.h"
#include "sample.h"
#include "timing.h"

struct looking {
    struct guest guest;
    tg_context *context;
};

static void step_looks(void *state)
{
    const struct looking *looking = state;

    guest_serve(&looking->guest, looking->context);
}

/* A line of half a nanosecond for each tick: reading it costs the same whatever it says. */
static uint64_t own_clock(const struct guest *guest, uint64_t vdso)
{
    const tg_clock line = {
        .size = sizeof(line),
        .clock = CLOCK_MONOTONIC,
        .kind = TG_CLOCK_TIME,
        .base_counter = tg_platform_counter(guest->platform),
        .multiplier = (uint64_t)1 << 31,
    };

    guest_require(guest->platform, tg_subprocess_set_clocks(guest->subprocess, &line, 1), "tg_subprocess_set_clocks");
    return vdso + own_vdso_clock_offset(guest->subprocess, vdso);
}

/* So many looks to one event that what it costs is a small part of each. */
static double clock_gettime_in_guest(const struct sample *sample)
{
    tg_info info = {.size = sizeof(info)};
    struct looking looking;
    uint64_t look;
    double nanoseconds;

    guest_open(&looking.guest, sample, GUEST_PROGRAM(bench_clock_loop));
    guest_require(looking.guest.platform, tg_platform_info(looking.guest.platform, &info), "tg_platform_info");
    if (!info.vdso)
        sample_skip("guests have no vDSO here");
    look = info.vdso_kind == TG_VDSO_OWN ? own_clock(&looking.guest, info.vdso) : info.vdso + host_vdso_clock_offset();
    guest_require(looking.guest.platform,
                  tg_subprocess_map(looking.guest.subprocess, GUEST_DATA_ADDRESS, info.page_size,
                                    TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
                  "tg_subprocess_map");
    looking.context = guest_context(looking.guest.platform, look, TG_CONTEXT_ONE_THREAD);
    nanoseconds = nanoseconds_per_step(sample, step_looks, &looking) / LOOKS_AT_ONCE;
    guest_close(&looking.guest);
    return nanoseconds;
}

static const struct benchmark benchmarks[] = {
    {
        .name = "vdso.clock_gettime",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .open_flags = TG_OPEN_VDSO,
        .run = clock_gettime_in_guest,
        .floors = {{floor_clock, "the same function in a process of the host's"}},
    },
    {
        .name = "vdso.own_clock_gettime",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .open_flags = TG_OPEN_VDSO_OWN,
        .run = clock_gettime_in_guest,
        .floors = {{floor_clock, "the host's function in a process of the host's"}},
    },
};

const struct benchmark_family vdso_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
