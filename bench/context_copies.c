/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a copy of guest memory adds to a patched call, where the worker makes it that waits for the answer. */
#include "floors/floors.h"
#include "guest_programs.h"
#include "patched_guest.h"

static void step_read(void *state)
{
    struct patched_guest *patched = state;

    guest_serve(&patched->guest, patched->context);
    guest_require(patched->guest.platform,
                  tg_context_read(patched->context, patched->guest.subprocess, GUEST_DATA_ADDRESS, patched->bytes,
                                  patched->length, NULL),
                  "tg_context_read");
}

static void step_write(void *state)
{
    struct patched_guest *patched = state;

    guest_serve(&patched->guest, patched->context);
    guest_require(patched->guest.platform,
                  tg_context_write(patched->context, patched->guest.subprocess, GUEST_DATA_ADDRESS, patched->bytes,
                                   patched->length, NULL),
                  "tg_context_write");
}

static double context_read(const struct sample *sample)
{
    return added_to_switch(sample, step_read, NULL);
}

static double context_write(const struct sample *sample)
{
    return added_to_switch(sample, step_write, NULL);
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
