/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A demo embedder in many environments. It runs in a process of its own that
 * was made to be in one; what it saw comes back through shared memory.
 */
#ifndef TESTS_HOSTS_H
#define TESTS_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <trapgate/trapgate.h>

#define TEXT_SIZE 640

/* Written by the demo alone. */
struct outcome {
    bool finished;
    int opened;              /* what tg_platform_open() returned */
    uint32_t backend;        /* that was opened */
    char message[TEXT_SIZE]; /* its sentence */
    int result;              /* of the first step after opening that failed, else 0 */
    char failed[TEXT_SIZE];  /* which, and the sentence */
    int probed;              /* tg_probe.error */
    char wrong[TEXT_SIZE];   /* what must not be in any environment; empty: nothing */
};

/* Opens, runs guests in all ways, closes. */
void demo_run(uint32_t backend, struct outcome *outcome);

struct environment;

enum expectation {
    WORKS,   /* all of it */
    REFUSED, /* opening fails, and the sentence has one of the words */
    EITHER,  /* all of it works, or something is refused in a sentence with one of the words */
};

struct verdict {
    enum expectation expected;
    const char *words[3]; /* NULL: no more */
};

struct environment {
    const char *name;
    /* In the process that becomes the demo. May skip the test. */
    void (*prepare)(const struct environment *environment, long value);
    int what; /* a resource, a call: for prepare */
    struct verdict ptrace;
    struct verdict systrap;
    const long *values; /* one run for each; NULL: one run with 0 */
    size_t value_count;
};

extern const struct environment environments[];
extern const size_t environment_count;

enum demo_end {
    DEMO_FINISHED,
    DEMO_ENDED,  /* before its end: a signal, or an exit */
    DEMO_HUNG,   /* it was ended after a time that is far above what it takes */
    DEMO_LITTER, /* a process of it was left behind */
};

/* For environment.prepare: another process traces this one and all that come of it. */
void be_traced(const struct environment *environment, long value);

/* What a process of its own is for. */
struct apart {
    void (*set_up)(void *argument); /* before it is made to be in the environment; NULL: nothing */
    void (*run)(void *argument);
    void *argument;
};

/* It came to an end with that wait status, unless the result says otherwise. Ends the test if prepare skips it. */
enum demo_end run_apart(const struct environment *environment, long value, const struct apart *apart, int *status);

/* prepare and the demo in a new process. Ends the test if prepare skips it. */
enum demo_end run_demo(const struct environment *environment, long value, uint32_t backend, struct outcome *outcome);
const char *demo_end_text(enum demo_end end);

/* Ends the test if the outcome is none that any environment may have, such as an error that the header does not list.
 */
void check_decent(const struct outcome *outcome);

/* For environment.prepare: this call answers with that error number, or with KILL (filter.h). */
void refuse_call(const struct environment *environment, long value);
/* A thread that makes call number value in a stub's own code ends alone. */
void end_threads_of_stubs(const struct environment *environment, long value);

#define CALLS_MAX 512

/* Which calls are made, by it and by all processes that it starts. */
void record_apart(const struct apart *apart, bool calls[CALLS_MAX]);
/* Which calls the library and its stubs make while the demo runs. */
void record_demo(uint32_t backend, bool calls[CALLS_MAX]);

/* Each of the calls refused, in that way or in all: how many of these runs were not in order. */
int sweep_calls(uint32_t backend, const char *how, const bool calls[CALLS_MAX],
                void (*try_call)(uint32_t backend, int nr, long value));
int sweep_demo(uint32_t backend, const char *how);
/* `trapgate doctor` says that the backend works, or that it does not, and has that text. */
void check_doctor(uint32_t backend, bool works, const char *text);
/* This host's kernel.yama.ptrace_scope. */
void check_yama(uint32_t backend);
/* `trapgate run` and `trapgate doctor` instead of the demo. */
int sweep_command(uint32_t backend, const char *how);

#endif
