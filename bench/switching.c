/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The time of one event: out of the guest, to the embedder, and back in. */
#include <signal.h>
#include <stdlib.h>

#include "cpus.h"
#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"

struct switching {
    struct guest guest;
    tg_context *context;
    void *fpstate;
    uint64_t fpstate_size;
};

static void step_switch(void *state)
{
    const struct switching *switching = state;

    guest_serve(&switching->guest, switching->context);
}

static void step_switch_fp(void *state)
{
    const struct switching *switching = state;

    guest_serve(&switching->guest, switching->context);
    guest_require(switching->guest.platform,
                  tg_context_get_fpstate(switching->context, switching->fpstate, switching->fpstate_size),
                  "tg_context_get_fpstate");
}

static void step_fault(void *state)
{
    const struct switching *switching = state;
    tg_event event = {.size = sizeof(event)};

    guest_require(switching->guest.platform, tg_context_switch(switching->context, switching->guest.subprocess, &event),
                  "tg_context_switch");
    if (event.kind != TG_EVENT_FAULT || event.u.fault.signo != SIGSEGV || event.u.fault.addr != 0 ||
        event.u.fault.access != TG_ACCESS_READ)
        sample_fail("event %u instead of a read fault at address 0", event.kind);
}

static double measure_steps(const struct sample *sample, struct guest_program program, uint32_t flags,
                            void (*step)(void *))
{
    struct switching switching;
    tg_info info = {.size = sizeof(info)};
    double nanoseconds;

    guest_open(&switching.guest, program);
    guest_require(switching.guest.platform, tg_platform_info(switching.guest.platform, &info), "tg_platform_info");
    switching.context = guest_context(switching.guest.platform, 0, flags);
    switching.fpstate_size = info.fpstate_size;
    switching.fpstate = malloc(info.fpstate_size);
    sample_require(switching.fpstate != NULL, "malloc");
    nanoseconds = nanoseconds_per_step(sample, step, &switching);
    guest_close(&switching.guest);
    free(switching.fpstate);
    return nanoseconds;
}

static double switch_pinned(const struct sample *sample)
{
    pin_to_cpu(allowed_cpu(0));
    return measure_steps(sample, GUEST_PROGRAM(bench_syscall_loop), TG_CONTEXT_ONE_THREAD, step_switch);
}

static double switch_free(const struct sample *sample)
{
    return measure_steps(sample, GUEST_PROGRAM(bench_syscall_loop), 0, step_switch);
}

static double switch_fp(const struct sample *sample)
{
    pin_to_cpu(allowed_cpu(0));
    return measure_steps(sample, GUEST_PROGRAM(bench_syscall_loop), TG_CONTEXT_ONE_THREAD, step_switch_fp);
}

static double fault(const struct sample *sample)
{
    pin_to_cpu(allowed_cpu(0));
    return measure_steps(sample, GUEST_PROGRAM(bench_fault_loop), TG_CONTEXT_ONE_THREAD, step_fault);
}

static const struct benchmark benchmarks[] = {
    {
        .name = "ptrace.switch",
        .unit = "ns/event",
        .run = switch_pinned,
        .floors = {{floor_switch, "SYSEMU, wait, GETREGS, SETREGS, one CPU"}},
    },
    {
        .name = "ptrace.switch_free",
        .unit = "ns/event",
        .run = switch_free,
        .floors = {{floor_switch, "SYSEMU, wait, GETREGS, SETREGS, one CPU"}},
    },
    {
        .name = "ptrace.switch_fp",
        .unit = "ns/event",
        .run = switch_fp,
        .floors = {{floor_switch_fp, "the same and GETREGSET of the FP state"}},
    },
    {
        .name = "ptrace.fault",
        .unit = "ns/event",
        .run = fault,
        .floors = {{floor_fault, "SYSEMU, wait, GETREGS, GETSIGINFO, one CPU"}},
    },
};

const struct benchmark_family switch_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
