/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a look at the clock costs a guest that has the host's vDSO. */
#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "host_vdso.h"
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

/* So many looks to one event that what it costs is a small part of each. */
static double clock_gettime_in_guest(const struct sample *sample)
{
    tg_info info = {.size = sizeof(info)};
    struct looking looking;
    double nanoseconds;

    guest_open(&looking.guest, sample, GUEST_PROGRAM(bench_clock_loop));
    guest_require(looking.guest.platform, tg_platform_info(looking.guest.platform, &info), "tg_platform_info");
    if (!info.vdso)
        sample_skip("guests have no vDSO here");
    guest_require(looking.guest.platform,
                  tg_subprocess_map(looking.guest.subprocess, GUEST_DATA_ADDRESS, info.page_size,
                                    TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
                  "tg_subprocess_map");
    looking.context =
        guest_context(looking.guest.platform, info.vdso + host_vdso_clock_offset(), TG_CONTEXT_ONE_THREAD);
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
};

const struct benchmark_family vdso_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
