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

/* Far more than it may take until a site counts as hot. */
#define CALLS_BEFORE_PATCHED 4096

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

static void no_preparation(const struct switching *switching)
{
    (void)switching;
}

static bool serve_one_patched(const struct switching *switching)
{
    return guest_serve(&switching->guest, switching->context) & TG_FLAG_PATCHED;
}

static void wait_until_patched(const struct switching *switching)
{
    tg_info info = {.size = sizeof(info)};

    guest_require(switching->guest.platform, tg_platform_info(switching->guest.platform, &info), "tg_platform_info");
    if (!(info.capabilities & TG_CAP_PATCHING))
        sample_skip("the backend does not patch system calls here");
    for (unsigned i = 0; i < CALLS_BEFORE_PATCHED; i++)
        if (serve_one_patched(switching))
            return;
    sample_fail("the guest's system call is not patched after %u calls", CALLS_BEFORE_PATCHED);
}

/* A number for patched calls must come from such calls alone, and the other way round. */
static void step_patched(void *state)
{
    if (!serve_one_patched(state))
        sample_fail("a call did not come through the patched site");
}

static void step_unpatched(void *state)
{
    if (serve_one_patched(state))
        sample_fail("a call came through a patched site although the platform was opened without");
}

static double measure_prepared_steps(const struct sample *sample, struct guest_program program, uint32_t flags,
                                     void (*prepare)(const struct switching *), void (*step)(void *))
{
    struct switching switching;
    tg_info info = {.size = sizeof(info)};
    double nanoseconds;

    guest_open(&switching.guest, sample, program);
    guest_require(switching.guest.platform, tg_platform_info(switching.guest.platform, &info), "tg_platform_info");
    switching.context = guest_context(switching.guest.platform, 0, flags);
    switching.fpstate_size = info.fpstate_size;
    switching.fpstate = malloc(info.fpstate_size);
    sample_require(switching.fpstate != NULL, "malloc");
    prepare(&switching);
    nanoseconds = nanoseconds_per_step(sample, step, &switching);
    guest_close(&switching.guest);
    free(switching.fpstate);
    return nanoseconds;
}

static double measure_steps(const struct sample *sample, struct guest_program program, uint32_t flags,
                            void (*step)(void *))
{
    return measure_prepared_steps(sample, program, flags, no_preparation, step);
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

static double fault_pinned(const struct sample *sample)
{
    pin_to_cpu(allowed_cpu(0));
    return measure_steps(sample, GUEST_PROGRAM(bench_fault_loop), TG_CONTEXT_ONE_THREAD, step_fault);
}

static double fault_free(const struct sample *sample)
{
    return measure_steps(sample, GUEST_PROGRAM(bench_fault_loop), TG_CONTEXT_ONE_THREAD, step_fault);
}

static double switch_patched(const struct sample *sample)
{
    return measure_prepared_steps(sample, GUEST_PROGRAM(bench_syscall_loop), TG_CONTEXT_ONE_THREAD, wait_until_patched,
                                  step_patched);
}

static double switch_unpatched(const struct sample *sample)
{
    return measure_steps(sample, GUEST_PROGRAM(bench_syscall_loop), TG_CONTEXT_ONE_THREAD, step_unpatched);
}

/* Everything the library starts afterwards is bound as well: stubs inherit the processors. */
static double switch_patched_pinned(const struct sample *sample)
{
    pin_to_cpu(allowed_cpu(0));
    return switch_patched(sample);
}

#define PTRACE_BENCHMARK(benchmark_name, function, floor, floor_is)                                                    \
    {                                                                                                                  \
        .name = (benchmark_name), .unit = "ns/event", .backend = TG_BACKEND_PTRACE, .run = (function),                 \
        .floors = {{(floor), (floor_is)}},                                                                             \
    }

static const struct benchmark benchmarks[] = {
    PTRACE_BENCHMARK("ptrace.switch", switch_pinned, floor_switch, "SYSEMU, wait, GETREGS, SETREGS, one CPU"),
    PTRACE_BENCHMARK("ptrace.switch_free", switch_free, floor_switch, "SYSEMU, wait, GETREGS, SETREGS, one CPU"),
    PTRACE_BENCHMARK("ptrace.switch_fp", switch_fp, floor_switch_fp, "the same and GETREGSET of the FP state"),
    PTRACE_BENCHMARK("ptrace.fault", fault_pinned, floor_fault, "SYSEMU, wait, GETREGS, GETSIGINFO, one CPU"),
    {
        .name = "systrap.switch_patched",
        .unit = "ns/event",
        .backend = TG_BACKEND_SYSTRAP,
        .run = switch_patched,
        .floors =
            {
                {floor_call_spinning, "a state word and 27 registers, two CPUs that spin"},
                {floor_short_call_spinning, "the same with the call in the state word's line"},
            },
    },
    {
        .name = "systrap.switch_unpatched",
        .unit = "ns/event",
        .backend = TG_BACKEND_SYSTRAP,
        .open_flags = TG_OPEN_NO_PATCHING,
        .run = switch_unpatched,
        .floors =
            {
                {floor_sigsys_spinning, "seccomp, a SIGSYS handler, two CPUs that spin"},
                {floor_dispatch_spinning, "the same with syscall user dispatch"},
            },
    },
    {
        .name = "systrap.switch_one_core",
        .unit = "ns/event",
        .backend = TG_BACKEND_SYSTRAP,
        .run = switch_patched_pinned,
        .floors = {{floor_call_sleeping, "a state word and 27 registers, futex, one CPU"}},
    },
    {
        .name = "systrap.fault",
        .unit = "ns/event",
        .backend = TG_BACKEND_SYSTRAP,
        .run = fault_free,
        .floors = {{floor_sigsegv_spinning, "a SIGSEGV handler, two CPUs that spin"}},
    },
};

const struct benchmark_family switch_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
