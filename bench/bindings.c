/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the bindings add to the C calls. Programs in the binding's own language measure that, beside C in the same
 * process; scripts/bench builds them and says where they are. They print a JSON array with one result.
 */
#include <stdlib.h>
#include <unistd.h>

#include "programs.h"
#include "sample.h"

#define RESULT_TEXT_MAX 1024

struct binding {
    const char *variable; /* of the environment: where its program is */
    const char *missing;  /* the reason and the remedy when it is not set */
};

static const struct binding rust = {
    "TG_BENCH_RUST",
    "no program in Rust; have rustc in PATH (Debian: rustc) and run scripts/bench, which builds it",
};

static const struct binding go = {
    "TG_BENCH_GO",
    "no program in Go; have go in PATH (Debian: golang-go) and run scripts/bench, which builds it",
};

static double number_of(const char *result, const char *key)
{
    const char *place = strstr(result, key);
    char *end = NULL;
    double number = 0;

    if (place) {
        place += strlen(key);
        number = strtod(place, &end);
    }
    if (!place || end == place)
        sample_fail("no %s in what the program prints", key);
    return number;
}

static double measured_by(const struct binding *binding, const char *name, const struct sample *sample)
{
    const char *path = getenv(binding->variable);
    char seconds[32], name_argument[64], result[RESULT_TEXT_MAX];
    char *argv[] = {(char *)(uintptr_t)path, "--seconds", seconds, "--name", name_argument, NULL};
    FILE *output, *errors;

    if (!path)
        sample_skip("%s", binding->missing);
    if (access(path, X_OK) != 0)
        sample_fail("%s is not there: scripts/bench could not build it, and said why in front of this table", path);
    snprintf(seconds, sizeof(seconds), "%.6f", sample->seconds);
    snprintf(name_argument, sizeof(name_argument), "%s", name);
    output = scratch_file();
    errors = scratch_file();
    run_program(path, argv, output, errors);
    result[fread(result, 1, sizeof(result) - 1, output)] = '\0';
    fclose(output);
    fclose(errors);
    if (!strstr(result, name))
        sample_fail("no %s in what the program prints", name);
    sample_floor(number_of(result, "\"floor\":"));
    return number_of(result, "\"value\":");
}

static double rust_switch_overhead(const struct sample *sample)
{
    return measured_by(&rust, "rust.switch_overhead", sample);
}

static double go_switch_overhead(const struct sample *sample)
{
    return measured_by(&go, "go.switch_overhead", sample);
}

static double measured_with(const struct binding *binding, const char *family, const struct sample *sample)
{
    char name[32];

    snprintf(name, sizeof(name), "%s.%u", family, (unsigned)sample->argument);
    return measured_by(binding, name, sample);
}

static double rust_runner(const struct sample *sample)
{
    return measured_with(&rust, "rust.runner", sample);
}

static double go_switch(const struct sample *sample)
{
    return measured_with(&go, "go.switch", sample);
}

static double go_runner(const struct sample *sample)
{
    return measured_with(&go, "go.runner", sample);
}

static double go_handler(const struct sample *sample)
{
    return measured_with(&go, "go.handler", sample);
}

#define SWITCH_OVERHEAD(language)                                                                                      \
    {                                                                                                                  \
        .name = #language ".switch_overhead", .unit = "ns", .run = language##_switch_overhead,                         \
        .floors = {{NULL, "a whole switch in C; the value is what the binding adds to it"}},                           \
    }

#define CALLS_OF(language, way, contexts, floor)                                                                       \
    {                                                                                                                  \
        .name = #language "." #way "." #contexts, .unit = "calls/s", .better = BETTER_HIGHER, .argument = (contexts),  \
        .run = language##_##way, .floors = {{NULL, floor}},                                                            \
    }

#define RUNNER(language, contexts)                                                                                     \
    CALLS_OF(language, runner, contexts, "blocking switches or a queue, whichever is faster")
#define GO_SWITCH(contexts)  CALLS_OF(go, switch, contexts, "as many threads in C")
#define GO_HANDLER(contexts) CALLS_OF(go, handler, contexts, "the queue in C, as many contexts")

static const struct benchmark benchmarks[] = {
    SWITCH_OVERHEAD(rust), RUNNER(rust, 1),     RUNNER(rust, 4), RUNNER(rust, 16), RUNNER(rust, 64),
    RUNNER(rust, 1000),    SWITCH_OVERHEAD(go), GO_SWITCH(1),    GO_SWITCH(4),     GO_SWITCH(16),
    GO_SWITCH(64),         RUNNER(go, 1),       RUNNER(go, 4),   RUNNER(go, 16),   RUNNER(go, 64),
    RUNNER(go, 1000),      GO_HANDLER(1),       GO_HANDLER(16),  GO_HANDLER(256),
};

const struct benchmark_family binding_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
