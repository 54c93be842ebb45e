/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../computing.h"

#include "../cpus.h"
#include "../guest_programs.h"
#include "../timing.h"
#include "floors.h"
#include "tracee.h"

#define COMPUTING_MAX 2

/* Enough to be timed, short enough not to matter. */
#define CALIBRATION_ROUNDS 20000000ULL

/* The samples of this benchmark are longer than others: contexts that compute for long are what is looked at. */
#define SAMPLE_FACTOR 3

static double seconds_of(unsigned count, uint64_t rounds)
{
    pid_t pids[COMPUTING_MAX];
    double start;

    for (unsigned i = 0; i < count; i++)
        pids[i] = tracee_start(bench_compute, rounds, allowed_cpu(i));
    start = now_seconds();
    for (unsigned i = 0; i < count; i++)
        tracee_resume(pids[i]);
    for (unsigned i = 0; i < count; i++)
        tracee_expect_syscall(tracee_wait(pids[i]));
    start = now_seconds() - start;
    for (unsigned i = 0; i < count; i++)
        tracee_kill(pids[i]);
    return start;
}

uint64_t compute_rounds(const struct sample *sample)
{
    return (uint64_t)(CALIBRATION_ROUNDS / seconds_of(1, CALIBRATION_ROUNDS) * sample->seconds * SAMPLE_FACTOR) + 1;
}

double floor_compute_two(const struct sample *sample)
{
    uint64_t rounds = compute_rounds(sample);
    double one = seconds_of(1, rounds);

    return seconds_of(2, rounds) / one;
}
