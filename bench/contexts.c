/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One thread that switches to many contexts of one subprocess, one after the other; nothing is pinned. */
#include <stdlib.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"

#define WARM_UP_ROUNDS 4

struct round {
    struct guest guest;
    tg_context **contexts;
    uint64_t count;
    uint64_t next;
};

static void step_next(void *state)
{
    struct round *round = state;

    guest_serve(&round->guest, round->contexts[round->next]);
    round->next = (round->next + 1) % round->count;
}

static double contexts_in_turns(const struct sample *sample)
{
    struct round round = {.count = sample->argument};
    double nanoseconds;

    guest_open(&round.guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    round.contexts = calloc(round.count, sizeof(round.contexts[0]));
    sample_require(round.contexts != NULL, "calloc");
    for (uint64_t i = 0; i < round.count; i++)
        round.contexts[i] = guest_context(round.guest.platform, 0, TG_CONTEXT_ONE_THREAD);
    /* Each has its memory and a patched call behind it before the clock starts. */
    for (uint64_t i = 0; i < WARM_UP_ROUNDS * round.count; i++)
        step_next(&round);
    nanoseconds = nanoseconds_per_step(sample, step_next, &round);
    guest_close(&round.guest);
    free(round.contexts);
    return nanoseconds;
}

#define CONTEXTS_BENCHMARK(prefix, backend_number, n, floor, floor_is)                                                 \
    {                                                                                                                  \
        .name = prefix ".contexts." #n, .unit = "ns/event", .backend = (backend_number), .argument = (n),              \
        .run = contexts_in_turns, .floors = {{(floor), (floor_is)}},                                                   \
    }
#define PTRACE_BENCHMARK(n)                                                                                            \
    CONTEXTS_BENCHMARK("ptrace", TG_BACKEND_PTRACE, n, floor_tracees_in_turns,                                         \
                       "as many traced threads, in turns, one CPU")
#define SYSTRAP_BENCHMARK(n)                                                                                           \
    CONTEXTS_BENCHMARK("systrap", TG_BACKEND_SYSTRAP, n, floor_ring_in_turns,                                          \
                       "bare rings and FP state, one at a time, two CPUs that spin")

static const struct benchmark benchmarks[] = {
    PTRACE_BENCHMARK(100),
    PTRACE_BENCHMARK(1000),
    SYSTRAP_BENCHMARK(100),
    SYSTRAP_BENCHMARK(1000),
};

const struct benchmark_family context_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
