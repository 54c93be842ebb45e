/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../arch/bare_registers.h"
#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "../timing.h"
#include "floors.h"
#include "tracee.h"

static void step_map_native(void *state)
{
    size_t page = *(size_t *)state;
    void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sample_require(memory != MAP_FAILED && munmap(memory, page) == 0, "mmap and munmap");
}

double floor_map_native(const struct sample *sample)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    pin_to_cpu(allowed_cpu(0));
    return nanoseconds_per_step(sample, step_map_native, &page);
}

static void step_map_touch(void *state)
{
    size_t page = *(size_t *)state;
    volatile char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sample_require(memory != MAP_FAILED, "mmap");
    *memory = 1;
    sample_require(munmap((void *)memory, page) == 0, "munmap");
}

double floor_map_touch(const struct sample *sample)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    pin_to_cpu(allowed_cpu(0));
    return nanoseconds_per_step(sample, step_map_touch, &page);
}

struct native_batch {
    char *start;
    size_t page;
    size_t count;
};

/* Every other page, at fixed addresses, first all of one kind and then all of the other: as in the guest. */
static void step_map_native_batch(void *state)
{
    const struct native_batch *batch = state;

    for (size_t i = 0; i < batch->count; i++)
        sample_require(mmap(batch->start + 2 * i * batch->page, batch->page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
                       "mmap");
    for (size_t i = 0; i < batch->count; i++)
        sample_require(munmap(batch->start + 2 * i * batch->page, batch->page) == 0, "munmap");
}

double floor_map_native_batch(const struct sample *sample)
{
    struct native_batch batch = {.page = (size_t)sysconf(_SC_PAGESIZE), .count = (size_t)sample->argument};
    size_t length = 2 * batch.count * batch.page;

    pin_to_cpu(allowed_cpu(0));
    batch.start = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sample_require(batch.start != MAP_FAILED && munmap(batch.start, length) == 0, "a free range of addresses");
    return nanoseconds_per_step(sample, step_map_native_batch, &batch) / (double)batch.count;
}

struct injection {
    pid_t pid;
    struct user_regs_struct start;
    uint64_t page;
};

static int64_t inject(const struct injection *injection, int64_t number, const uint64_t arguments[6])
{
    int64_t result = -1;

    sample_require(bare_inject(injection->pid, &injection->start, number, arguments, &result), "bare injection");
    if (result < 0 && result > -4096)
        sample_fail("an injected call returned %d", (int)result);
    return result;
}

static void step_map_injected(void *state)
{
    const struct injection *injection = state;
    uint64_t map[6] = {0, injection->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
    uint64_t unmap[6] = {0, injection->page};

    unmap[0] = (uint64_t)inject(injection, SYS_mmap, map);
    inject(injection, SYS_munmap, unmap);
}

double floor_map_injected(const struct sample *sample)
{
    struct injection injection = {.page = (uint64_t)sysconf(_SC_PAGESIZE)};
    int cpu = allowed_cpu(0);
    double nanoseconds;

    pin_to_cpu(cpu);
    injection.pid = tracee_start(bench_syscall_loop, 0, cpu);
    sample_require(bare_read_registers(injection.pid, &injection.start), "registers of a bare tracee");
    nanoseconds = nanoseconds_per_step(sample, step_map_injected, &injection);
    tracee_kill(injection.pid);
    return nanoseconds;
}

struct reading {
    pid_t pid;
    struct iovec local;
    struct iovec remote;
};

static void step_read(void *state)
{
    const struct reading *reading = state;
    ssize_t count = process_vm_readv(reading->pid, &reading->local, 1, &reading->remote, 1, 0);

    sample_require(count == (ssize_t)reading->local.iov_len, "process_vm_readv");
}

static void step_write(void *state)
{
    const struct reading *writing = state;
    ssize_t count = process_vm_writev(writing->pid, &writing->local, 1, &writing->remote, 1, 0);

    sample_require(count == (ssize_t)writing->local.iov_len, "process_vm_writev");
}

static double copy_bare(const struct sample *sample, void (*step)(void *state))
{
    size_t length = (size_t)sample->argument;
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *buffer = malloc(length);
    struct reading reading = {.local = {buffer, length}, .remote = {memory, length}};
    double nanoseconds;

    sample_require(memory != MAP_FAILED && buffer != NULL, "memory");
    memset(memory, 1, length);
    memset(buffer, 2, length);
    pin_to_cpu(allowed_cpu(0));
    reading.pid = tracee_start(bench_syscall_loop, 0, allowed_cpu(0));
    nanoseconds = nanoseconds_per_step(sample, step, &reading);
    tracee_kill(reading.pid);
    free(buffer);
    return nanoseconds;
}

double floor_read(const struct sample *sample)
{
    return copy_bare(sample, step_read);
}

double floor_write(const struct sample *sample)
{
    return copy_bare(sample, step_write);
}
