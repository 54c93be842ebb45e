/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a call costs a guest that the stub answers. */
#include <sys/syscall.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"

struct asking {
    struct guest guest;
    tg_context *context;
};

static void step_asks(void *state)
{
    const struct asking *asking = state;

    guest_serve(&asking->guest, asking->context);
}

/* The calls before the site is patched. */
static void warm_up(const struct asking *asking)
{
    tg_event event = {.size = sizeof(event)};

    for (;;) {
        guest_require(asking->guest.platform, tg_context_switch(asking->context, asking->guest.subprocess, &event),
                      "tg_context_switch");
        if (event.kind != TG_EVENT_SYSCALL)
            sample_fail("an event of kind %u instead of a call", event.kind);
        if (event.u.syscall.nr != SYS_gettid)
            break;
        guest_require(asking->guest.platform, tg_context_set_return(asking->context, GETTID_ANSWER),
                      "tg_context_set_return");
    }
    guest_answer(&event);
}

/* So many calls to one event that what it costs is a small part of each. */
static double answered(const struct sample *sample)
{
    tg_info info = {.size = sizeof(info)};
    struct asking asking;
    double nanoseconds;

    guest_open(&asking.guest, sample, GUEST_PROGRAM(bench_ask_loop));
    guest_require(asking.guest.platform, tg_platform_info(asking.guest.platform, &info), "tg_platform_info");
    if (!(info.capabilities & TG_CAP_ANSWERS))
        sample_skip("the backend answers no calls here");
    guest_require(asking.guest.platform,
                  tg_subprocess_answer(asking.guest.subprocess, SYS_gettid, TG_ANSWER_VALUE, GETTID_ANSWER),
                  "tg_subprocess_answer");
    asking.context = guest_context(asking.guest.platform, 0, TG_CONTEXT_ONE_THREAD);
    warm_up(&asking);
    nanoseconds = nanoseconds_per_step(sample, step_asks, &asking) / ASKED_AT_ONCE;
    guest_close(&asking.guest);
    return nanoseconds;
}

static const struct benchmark benchmarks[] = {
    {
        .name = "systrap.answered",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .run = answered,
        .floors =
            {
                {floor_registers, "27 registers stored and loaded again"},
                {floor_native_call, "the call in a process of the host's"},
            },
    },
};

const struct benchmark_family answer_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
