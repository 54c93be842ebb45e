/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* measure.h - repeats a benchmark and its floors in turns and sums the samples up. */
#ifndef TRAPGATE_BENCH_MEASURE_H
#define TRAPGATE_BENCH_MEASURE_H

#include "sample.h"

#define SAMPLES_MAX 99

struct measure_plan {
    unsigned samples;
    double seconds;      /* of one sample */
    double rest_seconds; /* of one that measures rest */
    bool floors_only;    /* nothing of the library */
};

struct series {
    unsigned count;
    double values[SAMPLES_MAX];
    double median;
    double spread; /* (largest - smallest) / |median|, or / floor if that is larger and in the samples, too; 0 for 0 */
    bool skipped;  /* no values, and nothing is wrong: this machine lacks something */
    char reason[SAMPLE_REASON_MAX];
};

struct measurement {
    const struct benchmark *benchmark;
    bool complete; /* what was to be measured has a value, or was skipped */
    struct series ours;
    struct series floors[BASELINES_MAX];
    struct series pairs; /* value / floor of each sample that brought its floor; nothing that moves both moves these */
};

/* A series with count 0 has a reason, or belongs to a floor that the benchmark does not have. */
void measure(const struct benchmark *benchmark, const struct measure_plan *plan, struct measurement *out);

#endif
