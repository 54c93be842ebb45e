/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that make, copy and end address spaces, and that read and write them. */
#include <string.h>

#include "arguments.h"

static char not_null;
#define NOT_NULL ((tg_subprocess *)&not_null)

static void arguments_of_answers(struct fixture *fixture)
{
    tg_subprocess *subprocess = fixture->subprocess;
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_answer(NULL, 1, TG_ANSWER_VALUE, 1));
    REFUSED(fixture, -EINVAL, tg_subprocess_answer(subprocess, TG_ANSWER_CALLS, TG_ANSWER_VALUE, 1));
    REFUSED(fixture, -EINVAL, tg_subprocess_answer(subprocess, UINT32_MAX, TG_ANSWER_NONE, 0));
    REFUSED(fixture, -EINVAL, tg_subprocess_answer(subprocess, 1, TG_ANSWER_CONTEXT_WORD + 1, 0));
    REFUSED(fixture, -EINVAL, tg_subprocess_answer(subprocess, 1, UINT32_MAX, 0));
    REFUSED(fixture, -EINVAL, tg_subprocess_answer(subprocess, 1, TG_ANSWER_CONTEXT_WORD, TG_CONTEXT_WORDS));
    REFUSED(fixture, -EINVAL, tg_subprocess_answer(subprocess, 1, TG_ANSWER_CONTEXT_WORD, UINT64_MAX));
    HOLDS(fixture, tg_subprocess_answer(subprocess, TG_ANSWER_CALLS - 1, TG_ANSWER_VALUE, UINT64_MAX) == 0);
    HOLDS(fixture, tg_subprocess_answer(subprocess, TG_ANSWER_CALLS - 1, TG_ANSWER_NONE, UINT64_MAX) == 0);
}

static void clock_refused(struct fixture *fixture, int error, tg_clock bad)
{
    const tg_clock good = {.size = sizeof(good), .clock = 1};
    const tg_clock clocks[] = {good, bad};

    REFUSED(fixture, error, tg_subprocess_set_clocks(fixture->subprocess, clocks, 2));
}

#define CLOCK(...) ((tg_clock){.size = sizeof(tg_clock), __VA_ARGS__})

static void arguments_of_clocks(struct fixture *fixture)
{
    tg_subprocess *subprocess = fixture->subprocess;
    tg_clock clock = CLOCK(.clock = 1, .kind = TG_CLOCK_TIME);
    uint64_t ns = 1;

    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_set_clocks(NULL, &clock, 1));
    REFUSED(fixture, -EINVAL, tg_subprocess_set_clocks(subprocess, NULL, 1));
    HOLDS(fixture, tg_subprocess_set_clocks(subprocess, NULL, 0) == 0);
    clock_refused(fixture, -EINVAL, CLOCK(.clock = 2));
    clock_refused(fixture, -EINVAL, CLOCK(.clock = 3));
    clock_refused(fixture, -EINVAL, CLOCK(.clock = TG_CLOCKS));
    clock_refused(fixture, -EINVAL, CLOCK(.clock = UINT32_MAX));
    clock_refused(fixture, -EINVAL, CLOCK(.kind = TG_CLOCK_TIME + 1));
    clock_refused(fixture, -EINVAL, CLOCK(.flags = TG_CLOCK_FORWARD << 1));
    clock_refused(fixture, -EINVAL, (tg_clock){.size = sizeof(tg_clock) + 8});
    clock_refused(fixture, -EOPNOTSUPP, clock);
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_clock(NULL, 1, &clock, &ns));
    REFUSED(fixture, -EINVAL, tg_subprocess_clock(subprocess, 1, NULL, &ns));
    REFUSED(fixture, -EINVAL, tg_subprocess_clock(subprocess, 2, &clock, &ns));
    REFUSED(fixture, -EINVAL, tg_subprocess_clock(subprocess, TG_CLOCKS, &clock, &ns));
    REFUSED(fixture, -EOPNOTSUPP, tg_subprocess_clock(subprocess, 1, &clock, &ns));
    HOLDS(fixture, ns == 1 && clock.kind == TG_CLOCK_TIME);
}

void arguments_of_subprocess(struct fixture *fixture)
{
    tg_subprocess *out = NOT_NULL;
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_create(NULL, &out));
    HOLDS(fixture, out == NULL);
    REFUSED(fixture, -EINVAL, tg_subprocess_create(fixture->platform, NULL));
    out = NOT_NULL;
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_fork(NULL, &out));
    HOLDS(fixture, out == NULL);
    REFUSED(fixture, -EINVAL, tg_subprocess_fork(fixture->subprocess, NULL));
    out = NOT_NULL;
    REFUSED(fixture, -ESRCH, tg_subprocess_fork(fixture->dead, &out));
    HOLDS(fixture, out == NULL);
    arguments_of_answers(fixture);
    arguments_of_clocks(fixture);
    HOLDS(fixture, tg_subprocess_pid(NULL) == 0);
    HOLDS(fixture, tg_subprocess_pid(fixture->dead) == 0);
    HOLDS(fixture, tg_subprocess_pid(fixture->subprocess) > 0);
    tg_subprocess_destroy(NULL);
}

static void arguments_of_read(struct fixture *fixture)
{
    unsigned char buffer[16];
    size_t done = 77;
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_read(NULL, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_subprocess_read(fixture->subprocess, DATA_ADDRESS, NULL, 1, &done));
    REFUSED(fixture, -ESRCH, tg_subprocess_read(fixture->dead, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EFAULT, tg_subprocess_read(fixture->subprocess, 0x20000000, buffer, 1, &done));
    HOLDS(fixture, done == 0);
    REFUSED(fixture, -EFAULT, tg_subprocess_read(fixture->subprocess, 0, buffer, sizeof(buffer), &done));
    REFUSED_EITHER(fixture, -EFAULT, -EINVAL, tg_subprocess_read(fixture->subprocess, UINT64_MAX, buffer, 1, &done));
    REFUSED_EITHER(fixture, -EFAULT, -EINVAL,
                   tg_subprocess_read(fixture->subprocess, UINT64_MAX - 3, buffer, sizeof(buffer), &done));
    HOLDS(fixture, tg_subprocess_read(fixture->subprocess, DATA_ADDRESS, buffer, 0, &done) == 0 && done == 0);
    HOLDS(fixture, tg_subprocess_read(fixture->subprocess, DATA_ADDRESS, buffer, 1, NULL) == 0);
}

static void arguments_of_write(struct fixture *fixture)
{
    const unsigned char buffer[16] = {1, 2, 3, 4};
    const uint64_t last_bytes = DATA_ADDRESS + PAGE(fixture) - 4;
    size_t done = 77;
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_write(NULL, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_subprocess_write(fixture->subprocess, DATA_ADDRESS, NULL, 1, &done));
    REFUSED(fixture, -ESRCH, tg_subprocess_write(fixture->dead, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EFAULT, tg_subprocess_write(fixture->subprocess, CODE_ADDRESS, buffer, 1, &done));
    HOLDS(fixture, done == 0);
    REFUSED_EITHER(fixture, -EFAULT, -EINVAL, tg_subprocess_write(fixture->subprocess, UINT64_MAX, buffer, 1, &done));
    REFUSED(fixture, -EFAULT, tg_subprocess_write(fixture->subprocess, last_bytes, buffer, sizeof(buffer), &done));
    HOLDS(fixture, done == 4);
    HOLDS(fixture, tg_subprocess_write(fixture->subprocess, DATA_ADDRESS, buffer, 0, &done) == 0 && done == 0);
}

/* The stub's own pages are not the embedder's to write through this door either. */
static void stub_is_read_only(struct fixture *fixture)
{
    const unsigned char byte = 0;
    for (uint32_t i = 0; i < fixture->info.reserved_count; i++)
        REFUSED_EITHER(fixture, -EFAULT, -EINVAL,
                       tg_subprocess_write(fixture->subprocess, fixture->info.reserved[i].start, &byte, 1, NULL));
}

void arguments_of_reset(struct fixture *fixture)
{
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_reset(NULL));
    REFUSED(fixture, -ESRCH, tg_subprocess_reset(fixture->dead));
}

static void piece_refused(struct fixture *fixture, int error, tg_bring bad)
{
    const tg_bring good = {.size = sizeof(good), .kind = TG_BRING_BYTES, .nr = 1, .max = 8};
    const tg_bring pieces[] = {good, bad};
    REFUSED(fixture, error, tg_subprocess_set_brings(fixture->subprocess, pieces, 2));
    HOLDS(fixture, tg_subprocess_set_brings(fixture->subprocess, &good, 1) == 0);
}

#define BRING(...) ((tg_bring){.size = sizeof(tg_bring), __VA_ARGS__})

void arguments_of_brings(struct fixture *fixture)
{
    tg_subprocess *subprocess = fixture->subprocess;
    const tg_bring three[3] = {
        BRING(.kind = TG_BRING_BYTES, .max = 8),
        BRING(.kind = TG_BRING_BYTES, .max = 8),
        BRING(.kind = TG_BRING_BYTES, .max = 8),
    };
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_set_brings(NULL, three, 1));
    REFUSED(fixture, -EINVAL, tg_subprocess_set_brings(subprocess, NULL, 1));
    REFUSED(fixture, -EINVAL, tg_subprocess_set_brings(subprocess, three, 3));
    REFUSED(fixture, -EINVAL, tg_subprocess_set_brings(subprocess, three, SIZE_MAX));
    HOLDS(fixture, tg_subprocess_set_brings(subprocess, three, 2) == 0);
    HOLDS(fixture, tg_subprocess_set_brings(fixture->dead, three, 2) == 0);
    piece_refused(fixture, -EINVAL, BRING(.kind = 0, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_STRING + 1, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .nr = TG_BRING_CALLS, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .nr = UINT64_MAX, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .arg = 6, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_COUNTED, .length_arg = 6, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .length_arg = 1, .max = 8));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .max = 0));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .max = TG_BRING_MAX + 1));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .nr = 1, .max = TG_BRING_MAX - 7));
    piece_refused(fixture, -EINVAL, BRING(.kind = TG_BRING_BYTES, .max = 8, .flags = 1));
    piece_refused(fixture, -EINVAL, (tg_bring){.size = sizeof(tg_bring) + 8, .kind = TG_BRING_BYTES, .max = 8});
    HOLDS(fixture, tg_subprocess_set_brings(subprocess, NULL, 0) == 0);
}

void arguments_of_memory_access(struct fixture *fixture)
{
    arguments_of_read(fixture);
    arguments_of_write(fixture);
    stub_is_read_only(fixture);
}
