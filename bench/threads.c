/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Several embedder threads at the same time, a context each; nothing is pinned. */
#include <pthread.h>

#include "computing.h"
#include "cpus.h"
#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"
#include "worker_threads.h"

#define COMPUTING_MAX 2

static uint64_t serve_context(tg_platform *platform, tg_subprocess *subprocess, const struct worker_phase *phase)
{
    tg_context *context = guest_context(platform, 0, TG_CONTEXT_ONE_THREAD);
    uint64_t calls = 0;

    while (!worker_stopped(phase)) {
        guest_serve_in(platform, context, subprocess);
        calls += worker_counts(phase);
    }
    return calls;
}

static uint64_t serve_in_shared_subprocess(void *state, unsigned index, const struct worker_phase *phase)
{
    const struct guest *guest = state;

    (void)index;
    return serve_context(guest->platform, guest->subprocess, phase);
}

static uint64_t serve_in_own_subprocess(void *state, unsigned index, const struct worker_phase *phase)
{
    const struct guest *guest = state;

    (void)index;
    return serve_context(guest->platform, guest_subprocess(guest->platform, GUEST_PROGRAM(bench_syscall_loop)), phase);
}

static double calls_per_second(const struct sample *sample, worker_function *work)
{
    struct guest guest;
    double rate;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    rate = worker_calls_per_second(sample, work, &guest);
    guest_close(&guest);
    return rate;
}

static double threads_shared(const struct sample *sample)
{
    return calls_per_second(sample, serve_in_shared_subprocess);
}

static double threads_apart(const struct sample *sample)
{
    return calls_per_second(sample, serve_in_own_subprocess);
}

struct computation {
    const struct guest *guest;
    tg_context *context;
    pthread_t thread;
};

static void *run_computation(void *argument)
{
    const struct computation *computation = argument;

    guest_serve(computation->guest, computation->context);
    return NULL;
}

static double computing_seconds(const struct guest *guest, unsigned count, uint64_t rounds)
{
    struct computation computations[COMPUTING_MAX];
    double start;

    for (unsigned i = 0; i < count; i++)
        computations[i] = (struct computation){guest, guest_context(guest->platform, rounds, 0), 0};
    start = now_seconds();
    for (unsigned i = 0; i < count; i++)
        sample_require(pthread_create(&computations[i].thread, NULL, run_computation, &computations[i]) == 0,
                       "pthread_create");
    for (unsigned i = 0; i < count; i++)
        pthread_join(computations[i].thread, NULL);
    return now_seconds() - start;
}

static double compute_two(const struct sample *sample)
{
    uint64_t rounds = compute_rounds(sample);
    struct guest guest;
    double one, two;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_compute));
    one = computing_seconds(&guest, 1, rounds);
    two = computing_seconds(&guest, 2, rounds);
    guest_close(&guest);
    return two / one;
}

/* Two contexts that compute in one queue: the waiting thread must not keep them on its own processor either. */
static double queue_seconds(const struct guest *guest, unsigned count, uint64_t rounds)
{
    tg_event event = {.size = sizeof(event)};
    size_t arrived;
    tg_queue *queue;
    double start = now_seconds();

    guest_require(guest->platform, tg_queue_create(guest->platform, &queue), "tg_queue_create");
    for (unsigned i = 0; i < count; i++)
        guest_require(guest->platform,
                      tg_queue_submit(queue, guest_context(guest->platform, rounds, 0), guest->subprocess),
                      "tg_queue_submit");
    for (unsigned i = 0; i < count; i++) {
        guest_require(guest->platform, tg_queue_wait(queue, &event, 1, -1, &arrived), "tg_queue_wait");
        guest_answer(&event);
    }
    start = now_seconds() - start;
    tg_queue_destroy(queue);
    return start;
}

static double compute_two_in_queue(const struct sample *sample)
{
    uint64_t rounds = compute_rounds(sample);
    struct guest guest;
    double one, two;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_compute));
    one = queue_seconds(&guest, 1, rounds);
    two = queue_seconds(&guest, 2, rounds);
    guest_close(&guest);
    return two / one;
}

#define THREAD_BENCHMARK(benchmark_name, benchmark_backend, threads, function)                                         \
    .name = (benchmark_name), .unit = "calls/s", .better = BETTER_HIGHER, .backend = (benchmark_backend),              \
    .argument = (threads), .run = (function)

#define PTRACE_BENCHMARK(benchmark_name, threads, function)                                                            \
    {                                                                                                                  \
        THREAD_BENCHMARK(benchmark_name, TG_BACKEND_PTRACE, threads, function),                                        \
            .floors = {{floor_threads, "as many bare loops, a pair per CPU"}},                                         \
    }

#define COMPUTE_BENCHMARK(benchmark_name, function)                                                                    \
    {                                                                                                                  \
        .name = (benchmark_name), .unit = "x of one", .backend = TG_BACKEND_PTRACE, .run = (function),                 \
        .floors = {{floor_compute_two, "two bare tracees over one, a CPU each"}},                                      \
    }

#define SYSTRAP_BENCHMARK(threads)                                                                                     \
    {                                                                                                                  \
        THREAD_BENCHMARK("systrap.threads." #threads, TG_BACKEND_SYSTRAP, threads, threads_shared),                    \
            .floors = {                                                                                                \
                {floor_pairs_sleeping, "as many bare futex pairs, each on one CPU"},                                   \
                {floor_one_pair_spinning, "one bare pair that spins, on two CPUs"},                                    \
            },                                                                                                         \
    }

static const struct benchmark benchmarks[] = {
    PTRACE_BENCHMARK("ptrace.threads.1", 1, threads_shared),
    PTRACE_BENCHMARK("ptrace.threads.2", 2, threads_shared),
    PTRACE_BENCHMARK("ptrace.threads.4", 4, threads_shared),
    PTRACE_BENCHMARK("ptrace.busy_4", 4, threads_apart),
    COMPUTE_BENCHMARK("ptrace.compute_2cores", compute_two),
    COMPUTE_BENCHMARK("ptrace.compute_2cores_queue", compute_two_in_queue),
    SYSTRAP_BENCHMARK(1),
    SYSTRAP_BENCHMARK(2),
    SYSTRAP_BENCHMARK(4),
    SYSTRAP_BENCHMARK(16),
    SYSTRAP_BENCHMARK(64),
};

const struct benchmark_family thread_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
