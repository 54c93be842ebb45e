/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One thread that drives many busy contexts of one subprocess through a queue; nothing is pinned. */
#include <stdlib.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "timing.h"

#define EVENTS_AT_ONCE 64
#define CALLS_PER_LOOK 64 /* at the clock, as in the floor */

static uint64_t serve_events(const struct guest *guest, tg_queue *queue)
{
    tg_event events[EVENTS_AT_ONCE] = {{.size = sizeof(tg_event)}};
    size_t count;

    guest_require(guest->platform, tg_queue_wait(queue, events, EVENTS_AT_ONCE, -1, &count), "tg_queue_wait");
    for (size_t i = 0; i < count; i++) {
        guest_answer(&events[i]);
        guest_require(guest->platform, tg_queue_submit(queue, events[i].context, guest->subprocess), "tg_queue_submit");
    }
    return count;
}

static uint64_t serve_for(const struct guest *guest, tg_queue *queue, double seconds, double *elapsed)
{
    double start = now_seconds();
    uint64_t calls = 0;
    uint64_t look_at = 0;

    do {
        while (calls < look_at)
            calls += serve_events(guest, queue);
        *elapsed = now_seconds() - start;
        look_at = calls + CALLS_PER_LOOK;
    } while (*elapsed < seconds);
    return calls;
}

static double queue_calls_per_second(const struct sample *sample)
{
    struct guest guest;
    tg_queue *queue;
    uint64_t calls;
    double elapsed;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_require(guest.platform, tg_queue_create(guest.platform, &queue), "tg_queue_create");
    for (uint64_t i = 0; i < sample->argument; i++)
        guest_require(guest.platform, tg_queue_submit(queue, guest_context(guest.platform, 0, 0), guest.subprocess),
                      "tg_queue_submit");
    serve_for(&guest, queue, sample->seconds / 8, &elapsed);
    calls = serve_for(&guest, queue, sample->seconds, &elapsed);
    guest_close(&guest);
    return (double)calls / elapsed;
}

#define QUEUE_BENCHMARK(benchmark_name, benchmark_backend, contexts)                                                   \
    .name = (benchmark_name), .unit = "calls/s", .better = BETTER_HIGHER, .backend = (benchmark_backend),              \
    .argument = (contexts), .run = queue_calls_per_second

#define PTRACE_BENCHMARK(contexts)                                                                                     \
    {                                                                                                                  \
        QUEUE_BENCHMARK("ptrace.queue." #contexts, TG_BACKEND_PTRACE, contexts),                                       \
            .floors = {                                                                                                \
                {floor_queue_one_cpu, "as many traced threads, in turns, one CPU"},                                    \
                {floor_queue_two_cpus, "the same, tracer and tracees on two CPUs"},                                    \
            },                                                                                                         \
    }

#define SYSTRAP_BENCHMARK(contexts)                                                                                    \
    {                                                                                                                  \
        QUEUE_BENCHMARK("systrap.queue." #contexts, TG_BACKEND_SYSTRAP, contexts),                                     \
            .floors = {{floor_ring, "bare rings and FP state, two CPUs that spin"}},                                   \
    }

static const struct benchmark benchmarks[] = {
    PTRACE_BENCHMARK(1),   PTRACE_BENCHMARK(4),    PTRACE_BENCHMARK(64),    PTRACE_BENCHMARK(1000),
    SYSTRAP_BENCHMARK(1),  SYSTRAP_BENCHMARK(2),   SYSTRAP_BENCHMARK(4),    SYSTRAP_BENCHMARK(16),
    SYSTRAP_BENCHMARK(64), SYSTRAP_BENCHMARK(256), SYSTRAP_BENCHMARK(1000),
};

const struct benchmark_family queue_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
