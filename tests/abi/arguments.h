/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Calls with bad arguments: each must be refused with its documented errno,
 * leave a sentence, and change nothing.
 */
#ifndef TRAPGATE_TESTS_ABI_ARGUMENTS_H
#define TRAPGATE_TESTS_ABI_ARGUMENTS_H

#include <errno.h>
#include <stdbool.h>

#include <trapgate/trapgate.h>

/* Two whole platforms, so that a call can mix their handles. */
struct fixture {
    uint32_t backend;
    tg_platform *platform;
    tg_subprocess *subprocess; /* alive; see CODE_ADDRESS */
    tg_subprocess *dead;       /* killed from outside, and noticed */
    tg_context *context;       /* starts at CODE_ADDRESS, has not run */
    tg_queue *queue;
    tg_context *queued; /* for the queue alone */
    tg_platform *foreign_platform;
    tg_subprocess *foreign_subprocess;
    tg_context *foreign_context;
    tg_queue *foreign_queue;
    tg_info info;
    unsigned calls;
    unsigned failures;
};

/* What the guest finds: a loop that makes one system call per turn, and a page of data. */
#define CODE_ADDRESS 0x10000000u
#define DATA_ADDRESS 0x10010000u
/* In that code: sets the byte at DATA_ADDRESS, then computes for ever. */
#define SPIN_ADDRESS (CODE_ADDRESS + 0x100)

#define PAGE(fixture) ((uint64_t)(fixture)->info.page_size)

void fixture_open(struct fixture *fixture);
/* After all that was refused, the handles do their work. */
void fixture_still_works(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* For steps that other tests are about: here they have to work, or the program ends. */
void must(tg_platform *platform, int result, const char *what);
#define MUST(platform, expression) must((platform), (expression), #expression)

struct snapshot;
struct snapshot *snapshot_take(struct fixture *fixture);

/* What a call was expected to return. */
struct expectation {
    const char *file;
    int line;
    const char *call;
    int results[2];
    bool sentence; /* some handle of the call has a platform that can hold the sentence */
};

/* Compares with what was before, counts, prints what is wrong; frees before. */
void check_refused(struct fixture *fixture, const struct expectation *expectation, int result, struct snapshot *before);

#define CHECK_REFUSED(fixture, first, second, has_sentence, expression)                                                \
    do {                                                                                                               \
        struct snapshot *before_ = snapshot_take(fixture);                                                             \
        const struct expectation expectation_ = {__FILE__, __LINE__, #expression, {(first), (second)}, has_sentence};  \
        check_refused((fixture), &expectation_, (expression), before_);                                                \
    } while (0)

#define REFUSED(fixture, error, expression)                CHECK_REFUSED(fixture, error, error, true, expression)
/* Two documented results fit. */
#define REFUSED_EITHER(fixture, first, second, expression) CHECK_REFUSED(fixture, first, second, true, expression)
/* No handle was given, so there is nobody to ask for the sentence. */
#define REFUSED_MUTE(fixture, error, expression)           CHECK_REFUSED(fixture, error, error, false, expression)

/* Counts a condition that is not a refused call. */
void check_condition(struct fixture *fixture, const char *file, int line, const char *text, bool holds);
#define HOLDS(fixture, condition) check_condition((fixture), __FILE__, __LINE__, #condition, (condition))

/* One per family of functions. */
void arguments_of_version(struct fixture *fixture);
void arguments_of_platform(struct fixture *fixture);
void arguments_of_subprocess(struct fixture *fixture);
void arguments_of_memory_operations(struct fixture *fixture);
void arguments_of_memory_access(struct fixture *fixture);
void arguments_of_reset(struct fixture *fixture);
void arguments_of_brings(struct fixture *fixture);
void arguments_of_context(struct fixture *fixture);
void arguments_of_switch(struct fixture *fixture);
void arguments_of_busy_context(struct fixture *fixture);
void arguments_of_queue(struct fixture *fixture);
void arguments_of_struct_sizes(struct fixture *fixture);

/* A context that runs the spinning guest on a thread of its own. */
struct spinner;
void spinner_prepare(struct fixture *fixture, tg_context *context, tg_subprocess *subprocess);
struct spinner *spinner_start(struct fixture *fixture, tg_context *context, tg_subprocess *subprocess);
void spinner_wait_until_running(struct fixture *fixture, tg_subprocess *subprocess);
/* Interrupts it and joins the thread. */
void spinner_stop(struct fixture *fixture, struct spinner *spinner);

#endif
