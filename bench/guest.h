/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* guest.h - an opened platform with one subprocess that runs a program of guest_programs.h. */
#ifndef TRAPGATE_BENCH_GUEST_H
#define TRAPGATE_BENCH_GUEST_H

#include <trapgate/trapgate.h>

#include "benchmark.h"

struct guest_program {
    void (*entry)(uint64_t argument);
    const char *end;
};

#define GUEST_PROGRAM(name) ((struct guest_program){name, name##_end})

struct guest {
    tg_platform *platform;
    tg_subprocess *subprocess;
};

/* Where guest_load() puts the program, and memory that stays free for benchmarks. */
#define GUEST_CODE_ADDRESS 0x40000000ULL
#define GUEST_DATA_ADDRESS 0x50000000ULL

/* Everything here ends the sample, with the platform's own sentence, when the library says no. */
void guest_open(struct guest *guest, const struct sample *sample, struct guest_program program);
void guest_close(struct guest *guest);

tg_subprocess *guest_subprocess(tg_platform *platform, struct guest_program program);
/* Into one that has nothing there. */
void guest_load(tg_platform *platform, tg_subprocess *subprocess, struct guest_program program);

/* A context at the start of the program; flags as for tg_context_set_flags(). */
tg_context *guest_context(tg_platform *platform, uint64_t argument, uint32_t flags);

/* One switch that has to end in getppid; answers it. Returns the event's TG_FLAG_*. */
uint32_t guest_serve(const struct guest *guest, tg_context *context);
uint32_t guest_serve_in(tg_platform *platform, tg_context *context, tg_subprocess *subprocess);

/* Answers getppid; ends the sample when the event is another one. */
void guest_answer(const tg_event *event);

/* Ends the sample unless result is 0; platform may be NULL. */
void guest_require(const tg_platform *platform, int result, const char *step);

#endif
