/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* sample.h - runs one sample in a child process and brings its value back. */
#ifndef TRAPGATE_BENCH_SAMPLE_H
#define TRAPGATE_BENCH_SAMPLE_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "benchmark.h"

#define SAMPLE_REASON_MAX 240

struct sample_outcome {
    bool ok;
    bool skipped; /* not a failure: this machine does not have what it takes */
    double value;
    bool has_floor; /* measured beside the value */
    double floor;
    char reason[SAMPLE_REASON_MAX]; /* why there is no value */
};

/* A sample that crashes, fails or hangs gives an outcome with a reason; it never takes the bench with it. */
struct sample_outcome sample_run(sample_function *run, const struct sample *sample);

/* Only inside a sample: reports the reason and ends the sample's process. */
__attribute__((noreturn, format(printf, 1, 2))) void sample_fail(const char *format, ...);

/* Only inside a sample: the same, when it is this machine that lacks what the sample is about. */
__attribute__((noreturn, format(printf, 1, 2))) void sample_skip(const char *format, ...);

/* Only inside a sample: a floor that belongs to the value, because both were measured in one process. */
void sample_floor(double value);

/* Only inside a sample: sample_fail() with errno's text when a host call did not do what the sample needs. */
static inline void sample_require(bool condition, const char *what)
{
    if (!condition)
        sample_fail("%s: %s", what, strerror(errno));
}

#endif
