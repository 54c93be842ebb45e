/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends.h"

/* Ours and the floors, one row each, so that one loop can run them in turns. */
struct contestant {
    sample_function *run;
    struct series *series;
};

#define CONTESTANTS (1 + BASELINES_MAX)

static int compare_values(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Of a series that is sorted. */
static double spread_over(const struct series *series, double base)
{
    return base != 0 ? (series->values[series->count - 1] - series->values[0]) / base : 0;
}

static void sum_up(struct series *series)
{
    unsigned middle = series->count / 2;

    if (series->count == 0)
        return;
    qsort(series->values, series->count, sizeof(series->values[0]), compare_values);
    series->median = series->values[middle];
    if (series->count % 2 == 0)
        series->median = (series->values[middle - 1] + series->values[middle]) / 2;
    series->spread = spread_over(series, fabs(series->median));
}

static void discard(struct series *series, bool skipped, const char *reason)
{
    series->count = 0;
    series->skipped = skipped;
    snprintf(series->reason, sizeof(series->reason), "%s", reason);
}

static void append(struct series *series, double value)
{
    series->values[series->count++] = value;
}

/* One failure discards the series: a median over the samples that happened to survive would be a flattering one. */
static void take_sample(struct measurement *measurement, const struct contestant *contestant,
                        const struct sample *sample)
{
    struct series *series = contestant->series;
    struct sample_outcome outcome;

    if (!contestant->run || series->reason[0] != '\0')
        return;
    outcome = sample_run(contestant->run, sample);
    if (outcome.ok)
        append(series, outcome.value);
    else
        discard(series, outcome.skipped, outcome.reason);
    if (outcome.ok && outcome.has_floor) {
        append(&measurement->floors[0], outcome.floor);
        append(&measurement->pairs, outcome.value / outcome.floor);
    }
}

static void run_in_turns(struct measurement *measurement, const struct measure_plan *plan)
{
    const struct benchmark *benchmark = measurement->benchmark;
    struct contestant contestants[CONTESTANTS] = {{plan->floors_only ? NULL : benchmark->run, &measurement->ours}};
    struct sample sample = {
        .seconds = plan->seconds,
        .rest_seconds = plan->rest_seconds,
        .argument = benchmark->argument,
        .backend = benchmark->backend,
        .open_flags = benchmark->open_flags,
    };
    unsigned samples = plan->samples;

    for (unsigned i = 0; i < BASELINES_MAX; i++)
        contestants[1 + i] = (struct contestant){benchmark->floors[i].run, &measurement->floors[i]};
    if (benchmark->samples_max != 0 && samples > benchmark->samples_max)
        samples = benchmark->samples_max;

    /* In turns, and every round starts with another one: noise and drift hit all of them alike. */
    for (unsigned round = 0; round < samples; round++)
        for (unsigned turn = 0; turn < CONTESTANTS && !measurement->ours.skipped; turn++)
            take_sample(measurement, &contestants[(round + turn) % CONTESTANTS], &sample);
    for (unsigned i = 0; i < CONTESTANTS; i++)
        sum_up(contestants[i].series);
    sum_up(&measurement->pairs);
    /* What is added to a floor may be next to nothing, and nothing can be compared with that. */
    if (measurement->ours.count != 0 && measurement->pairs.count != 0)
        measurement->ours.spread =
            spread_over(&measurement->ours, fmax(fabs(measurement->ours.median), measurement->floors[0].median));
}

static bool has_outcome(const struct series *series)
{
    return series->count != 0 || series->skipped;
}

static bool floors_have_outcomes(const struct measurement *measurement)
{
    for (unsigned i = 0; i < BASELINES_MAX; i++)
        if (measurement->benchmark->floors[i].run && !has_outcome(&measurement->floors[i]))
            return false;
    return true;
}

void measure(const struct benchmark *benchmark, const struct measure_plan *plan, struct measurement *out)
{
    const char *obstacle = plan->floors_only ? NULL : backend_obstacle(benchmark->backend);

    memset(out, 0, sizeof(*out));
    out->benchmark = benchmark;
    if (obstacle)
        discard(&out->ours, true, obstacle);
    else
        run_in_turns(out, plan);
    out->complete = plan->floors_only ? floors_have_outcomes(out) : has_outcome(&out->ours);
}
