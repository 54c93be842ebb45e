/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* benchmark.h - what a benchmark is: one line of a family's table. */
#ifndef TRAPGATE_BENCH_BENCHMARK_H
#define TRAPGATE_BENCH_BENCHMARK_H

#include <stddef.h>
#include <stdint.h>

/* One sample: runs in a process of its own, so that nothing of it reaches the next one. */
struct sample {
    double seconds;      /* how long the timed part should last */
    double rest_seconds; /* how long those rest that measure what rest costs */
    uint64_t argument;   /* the benchmark's own: contexts, threads, pages or bytes */
    uint32_t backend;    /* TG_BACKEND_*, for those that open a platform */
    uint64_t open_flags; /* TG_OPEN_* */
    uint64_t spin_ns;    /* for opening it as well; 0: as it comes */
};

/* Sets up, measures for about sample->seconds, takes down; the value in the benchmark's unit. Ends in sample_fail() or
 * sample_skip(). */
typedef double sample_function(const struct sample *sample);

enum better {
    BETTER_LOWER,
    BETTER_HIGHER,
};

struct baseline {
    sample_function *run; /* NULL: there is none, or the benchmark's own samples tell it (sample_floor) */
    const char *what;     /* the mechanism, for the table; NULL when there is none */
};

#define BASELINES_MAX 2

struct benchmark {
    const char *name; /* stable: programs read it */
    const char *unit;
    enum better better;
    uint32_t backend;    /* skipped, with the reason, where this one does not work */
    uint64_t open_flags; /* for opening the platform */
    uint64_t argument;
    sample_function *run;
    struct baseline floors[BASELINES_MAX];
    unsigned samples_max; /* 0: as many as asked for */
};

struct benchmark_family {
    const struct benchmark *benchmarks;
    size_t count;
};

extern const struct benchmark_family switch_family;
extern const struct benchmark_family queue_family;
extern const struct benchmark_family thread_family;
extern const struct benchmark_family context_family;
extern const struct benchmark_family oversubscribed_family;
extern const struct benchmark_family subprocess_family;
extern const struct benchmark_family memory_family;
extern const struct benchmark_family call_bytes_family;
extern const struct benchmark_family context_copy_family;
extern const struct benchmark_family answer_family;
extern const struct benchmark_family vdso_family;
extern const struct benchmark_family coverage_family;
extern const struct benchmark_family binding_family;

#endif
