/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a copy of guest memory adds to a patched call, where the worker makes it that waits for the answer. */
#include <stdlib.h>
#include <string.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"

#define CALLS_BEFORE_PATCHED 4096
#define BLOCKS               64 /* of switches alone and of switches with a copy, in turns */

struct copying {
    struct guest guest;
    tg_context *context;
    void *buffer;
    size_t length;
};

static void step_switch(void *state)
{
    const struct copying *copying = state;

    guest_serve(&copying->guest, copying->context);
}

static void step_read(void *state)
{
    const struct copying *copying = state;

    guest_serve(&copying->guest, copying->context);
    guest_require(copying->guest.platform,
                  tg_context_read(copying->context, copying->guest.subprocess, GUEST_DATA_ADDRESS, copying->buffer,
                                  copying->length, NULL),
                  "tg_context_read");
}

static void step_write(void *state)
{
    const struct copying *copying = state;

    guest_serve(&copying->guest, copying->context);
    guest_require(copying->guest.platform,
                  tg_context_write(copying->context, copying->guest.subprocess, GUEST_DATA_ADDRESS, copying->buffer,
                                   copying->length, NULL),
                  "tg_context_write");
}

static void open_copying(struct copying *copying, const struct sample *sample)
{
    tg_info info = {.size = sizeof(info)};
    unsigned calls = 0;

    copying->length = (size_t)sample->argument;
    copying->buffer = malloc(copying->length);
    sample_require(copying->buffer != NULL, "malloc");
    memset(copying->buffer, 1, copying->length);
    guest_open(&copying->guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_require(copying->guest.platform, tg_platform_info(copying->guest.platform, &info), "tg_platform_info");
    if (!(info.capabilities & TG_CAP_PATCHING))
        sample_skip("the backend does not patch system calls here");
    guest_require(copying->guest.platform,
                  tg_subprocess_map(copying->guest.subprocess, GUEST_DATA_ADDRESS, copying->length,
                                    TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
                  "tg_subprocess_map");
    copying->context = guest_context(copying->guest.platform, 0, TG_CONTEXT_ONE_THREAD);
    while (!(guest_serve(&copying->guest, copying->context) & TG_FLAG_PATCHED))
        if (++calls == CALLS_BEFORE_PATCHED)
            sample_fail("the guest's system call is not patched after %u calls", calls);
}

/* The line's time is what the two kinds of blocks differ by, so that whatever changes with time is in both. */
static double measure(const struct sample *sample, void (*step)(void *state))
{
    struct sample block = *sample;
    struct copying copying;
    double difference = 0;

    open_copying(&copying, sample);
    block.seconds = sample->seconds / (2 * BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        const double alone = nanoseconds_per_step(&block, step_switch, &copying);

        difference += nanoseconds_per_step(&block, step, &copying) - alone;
    }
    guest_close(&copying.guest);
    free(copying.buffer);
    return difference / BLOCKS;
}

static double context_read(const struct sample *sample)
{
    return measure(sample, step_read);
}

static double context_write(const struct sample *sample)
{
    return measure(sample, step_write);
}

#define COPY_BENCHMARK(benchmark_name, bytes, function, floor, floor_is)                                               \
    {                                                                                                                  \
        .name = (benchmark_name), .unit = "ns", .backend = TG_BACKEND_SYSTRAP, .argument = (bytes), .run = (function), \
        .floors = {{(floor), (floor_is)}},                                                                             \
    }

static const struct benchmark benchmarks[] = {
    COPY_BENCHMARK("systrap.context_read_8", 8, context_read, floor_read, "process_vm_readv of as many bytes"),
    COPY_BENCHMARK("systrap.context_read_512", 512, context_read, floor_read, "process_vm_readv of as many bytes"),
    COPY_BENCHMARK("systrap.context_read_4096", 4096, context_read, floor_read, "process_vm_readv of as many bytes"),
    COPY_BENCHMARK("systrap.context_write_8", 8, context_write, floor_write, "process_vm_writev of as many bytes"),
    COPY_BENCHMARK("systrap.context_write_512", 512, context_write, floor_write, "process_vm_writev of as many bytes"),
    COPY_BENCHMARK("systrap.context_write_4096", 4096, context_write, floor_write,
                   "process_vm_writev of as many bytes"),
};

const struct benchmark_family context_copy_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
