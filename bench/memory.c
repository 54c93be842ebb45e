/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guest memory: mapping it from outside, and reading it. */
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"

#define BATCH_MAX 64

struct mapping {
    struct guest guest;
    uint64_t page;
    size_t pages;
    tg_mem_op maps[BATCH_MAX];
    tg_mem_op unmaps[BATCH_MAX];
};

static void step_map_one(void *state)
{
    const struct mapping *mapping = state;
    tg_subprocess *subprocess = mapping->guest.subprocess;

    guest_require(
        mapping->guest.platform,
        tg_subprocess_map(subprocess, GUEST_DATA_ADDRESS, mapping->page, TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
        "tg_subprocess_map");
    guest_require(mapping->guest.platform, tg_subprocess_unmap(subprocess, GUEST_DATA_ADDRESS, mapping->page),
                  "tg_subprocess_unmap");
}

static void step_map_batch(void *state)
{
    const struct mapping *mapping = state;
    tg_subprocess *subprocess = mapping->guest.subprocess;

    guest_require(mapping->guest.platform, tg_subprocess_apply(subprocess, mapping->maps, mapping->pages, NULL),
                  "tg_subprocess_apply");
    guest_require(mapping->guest.platform, tg_subprocess_apply(subprocess, mapping->unmaps, mapping->pages, NULL),
                  "tg_subprocess_apply");
}

/* Every other page, so that no two mappings can be merged into one. */
static void prepare_batch(struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->pages; i++) {
        tg_mem_op *map = &mapping->maps[i];

        *map = (tg_mem_op){.size = sizeof(tg_mem_op), .kind = TG_MEM_MAP, .length = mapping->page, .fd = -1};
        map->addr = GUEST_DATA_ADDRESS + 2 * i * mapping->page;
        map->prot = TG_PROT_READ | TG_PROT_WRITE;
        mapping->unmaps[i] = (tg_mem_op){.size = sizeof(tg_mem_op), .kind = TG_MEM_UNMAP, .length = mapping->page};
        mapping->unmaps[i].addr = map->addr;
    }
}

static double map_and_unmap(const struct sample *sample)
{
    struct mapping mapping = {.pages = (size_t)sample->argument};
    tg_info info = {.size = sizeof(info)};
    double nanoseconds;

    guest_open(&mapping.guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_require(mapping.guest.platform, tg_platform_info(mapping.guest.platform, &info), "tg_platform_info");
    mapping.page = info.page_size;
    prepare_batch(&mapping);
    nanoseconds = nanoseconds_per_step(sample, mapping.pages == 1 ? step_map_one : step_map_batch, &mapping);
    guest_close(&mapping.guest);
    return nanoseconds / (double)mapping.pages;
}

static double map_and_unmap_pinned(const struct sample *sample)
{
    pin_to_cpu(allowed_cpu(0));
    return map_and_unmap(sample);
}

struct touching {
    struct mapping mapping;
    tg_context *context;
};

/* What a guest's mmap, its first touch and munmap are for whoever serves them: two calls and two operations. */
static void step_touch(void *state)
{
    const struct touching *touching = state;
    const struct guest *guest = &touching->mapping.guest;

    guest_serve(guest, touching->context);
    guest_require(guest->platform,
                  tg_subprocess_map(guest->subprocess, GUEST_DATA_ADDRESS, touching->mapping.page,
                                    TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
                  "tg_subprocess_map");
    guest_serve(guest, touching->context);
    guest_require(guest->platform, tg_subprocess_unmap(guest->subprocess, GUEST_DATA_ADDRESS, touching->mapping.page),
                  "tg_subprocess_unmap");
}

static double map_touch_unmap(const struct sample *sample)
{
    struct touching touching = {.mapping.pages = 1};
    struct guest *guest = &touching.mapping.guest;
    tg_info info = {.size = sizeof(info)};
    double nanoseconds;

    guest_open(guest, sample, GUEST_PROGRAM(bench_touch_loop));
    guest_require(guest->platform, tg_platform_info(guest->platform, &info), "tg_platform_info");
    touching.mapping.page = info.page_size;
    touching.context = guest_context(guest->platform, GUEST_DATA_ADDRESS, 0);
    nanoseconds = nanoseconds_per_step(sample, step_touch, &touching);
    guest_close(guest);
    return nanoseconds;
}

struct reading {
    struct guest guest;
    void *buffer;
    size_t length;
};

static void step_read(void *state)
{
    const struct reading *reading = state;

    guest_require(
        reading->guest.platform,
        tg_subprocess_read(reading->guest.subprocess, GUEST_DATA_ADDRESS, reading->buffer, reading->length, NULL),
        "tg_subprocess_read");
}

static double read_memory(const struct sample *sample)
{
    struct reading reading = {.length = (size_t)sample->argument};
    double nanoseconds;

    reading.buffer = malloc(reading.length);
    sample_require(reading.buffer != NULL, "malloc");
    memset(reading.buffer, 1, reading.length);
    pin_to_cpu(allowed_cpu(0));
    guest_open(&reading.guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_require(reading.guest.platform,
                  tg_subprocess_map(reading.guest.subprocess, GUEST_DATA_ADDRESS, reading.length,
                                    TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
                  "tg_subprocess_map");
    guest_require(
        reading.guest.platform,
        tg_subprocess_write(reading.guest.subprocess, GUEST_DATA_ADDRESS, reading.buffer, reading.length, NULL),
        "tg_subprocess_write");
    nanoseconds = nanoseconds_per_step(sample, step_read, &reading);
    guest_close(&reading.guest);
    free(reading.buffer);
    return nanoseconds;
}

#define MAP_BENCHMARK(benchmark_name, page_count)                                                                      \
    {                                                                                                                  \
        .name = (benchmark_name), .unit = "ns/page", .backend = TG_BACKEND_PTRACE, .argument = (page_count),           \
        .run = map_and_unmap_pinned,                                                                                   \
        .floors = {                                                                                                    \
            {floor_map_native, "mmap and munmap in one's own process"},                                                \
            {floor_map_injected, "the two calls injected with ptrace"},                                                \
        },                                                                                                             \
    }

#define TOUCH_BENCHMARK(benchmark_name, benchmark_backend)                                                             \
    {                                                                                                                  \
        .name = (benchmark_name), .unit = "ns", .backend = (benchmark_backend), .run = map_touch_unmap,                \
        .floors = {{floor_map_touch, "mmap, a touch and munmap in one's own process"}},                                \
    }

#define READ_BENCHMARK(benchmark_name, bytes)                                                                          \
    {                                                                                                                  \
        .name = (benchmark_name), .unit = "ns", .backend = TG_BACKEND_PTRACE, .argument = (bytes), .run = read_memory, \
        .floors = {{floor_read, "process_vm_readv of as many bytes"}},                                                 \
    }

static const struct benchmark benchmarks[] = {
    MAP_BENCHMARK("memory.map_1", 1),
    MAP_BENCHMARK("memory.map_batch_64", BATCH_MAX),
    READ_BENCHMARK("memory.read_8", 8),
    READ_BENCHMARK("memory.read_4096", 4096),
    READ_BENCHMARK("memory.read_1m", 1 << 20),
    TOUCH_BENCHMARK("ptrace.map_touch_unmap", TG_BACKEND_PTRACE),
    {
        .name = "systrap.map_1",
        .unit = "ns/page",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = 1,
        .run = map_and_unmap,
        .floors = {{floor_map_native, "mmap and munmap in one's own process"},
                   {floor_map_injected, "the two calls injected with ptrace"}},
    },
    TOUCH_BENCHMARK("systrap.map_touch_unmap", TG_BACKEND_SYSTRAP),
    {
        .name = "systrap.map_batch_64",
        .unit = "ns/page",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = BATCH_MAX,
        .run = map_and_unmap,
        .floors = {{floor_map_native_batch, "the same calls in one's own process, one CPU"}},
    },
};

const struct benchmark_family memory_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
