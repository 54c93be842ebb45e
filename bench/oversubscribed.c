/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* More busy subprocesses than two processors hold: what a call costs then in processor time, with and without spinning.
 */
#include <stdatomic.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "process_costs.h"
#include "sample.h"
#include "worker_threads.h"

#define SAMPLE_FACTOR 4 /* longer than others: the scheduler's turns are to come round many times */
#define SPIN_NEVER    1

struct crowd {
    struct guest guest;
    tg_subprocess *subprocesses[WORKERS_MAX];
    _Atomic uint64_t calls; /* each thread adds its own when it ends */
};

static uint64_t serve_own(void *state, unsigned index, const struct worker_phase *phase)
{
    struct crowd *crowd = state;
    tg_context *context = guest_context(crowd->guest.platform, 0, TG_CONTEXT_ONE_THREAD);
    uint64_t calls = 0;

    for (; !worker_stopped(phase); calls++)
        guest_serve_in(crowd->guest.platform, context, crowd->subprocesses[index]);
    atomic_fetch_add(&crowd->calls, calls);
    return calls;
}

static double cpu_seconds(void)
{
    return own_cpu_seconds() + descendants_cpu_seconds();
}

static double cpu_nanoseconds_per_call(const struct sample *sample, uint64_t spin_ns)
{
    struct sample longer = *sample;
    struct crowd crowd = {.calls = 0};
    double used;

    longer.seconds *= SAMPLE_FACTOR;
    longer.spin_ns = spin_ns;
    guest_open(&crowd.guest, &longer, GUEST_PROGRAM(bench_syscall_loop));
    for (uint64_t i = 0; i < sample->argument; i++)
        crowd.subprocesses[i] = guest_subprocess(crowd.guest.platform, GUEST_PROGRAM(bench_syscall_loop));
    used = cpu_seconds();
    worker_calls_per_second(&longer, serve_own, &crowd);
    used = cpu_seconds() - used;
    guest_close(&crowd.guest);
    return used * 1e9 / (double)atomic_load(&crowd.calls);
}

static double oversubscribed(const struct sample *sample)
{
    sample_floor(cpu_nanoseconds_per_call(sample, SPIN_NEVER));
    return cpu_nanoseconds_per_call(sample, 0);
}

static const struct benchmark benchmarks[] = {
    {
        .name = "systrap.oversubscribed",
        .unit = "ns/call",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = 5,
        .run = oversubscribed,
        .floors = {{NULL, "the same, and nobody spins"}},
    },
};

const struct benchmark_family oversubscribed_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
