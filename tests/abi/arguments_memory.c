/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Batches of memory operations with one bad member, and the single-operation calls. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arguments.h"

#define FREE_ADDRESS 0x30000000u
#define GOOD_MAP                                                                                                       \
    {                                                                                                                  \
        .size = sizeof(tg_mem_op), .kind = TG_MEM_MAP, .addr = FREE_ADDRESS, .length = 4096, .prot = 3, .fd = -1       \
    }

/* One after the other into a batch behind a good operation, which must not run either. */
static void batch_refused(struct fixture *fixture, int first_error, int second_error, tg_mem_op bad)
{
    tg_mem_op ops[] = {GOOD_MAP, bad, GOOD_MAP};
    size_t done = 77;
    ops[0].length = PAGE(fixture);
    REFUSED_EITHER(fixture, first_error, second_error, tg_subprocess_apply(fixture->subprocess, ops, 3, &done));
    HOLDS(fixture, done == 0);
}

#define OP(kind_, ...) ((tg_mem_op){.size = sizeof(tg_mem_op), .kind = (kind_), __VA_ARGS__})

static void bad_kinds(struct fixture *fixture)
{
    static const uint32_t kinds[] = {0, 5, 0x80000001, UINT32_MAX};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        batch_refused(fixture, -EINVAL, -EINVAL, OP(kinds[i], .addr = FREE_ADDRESS, .length = PAGE(fixture), .fd = -1));
}

/* Places that no operation may touch. */
static void bad_ranges(struct fixture *fixture)
{
    const uint64_t page = PAGE(fixture);
    const struct {
        uint64_t addr;
        uint64_t length;
    } ranges[] = {
        {FREE_ADDRESS + 1, page},
        {FREE_ADDRESS + page / 2, page},
        {FREE_ADDRESS, 0},
        {FREE_ADDRESS, UINT64_MAX},
        {FREE_ADDRESS, UINT64_MAX - page},
        {FREE_ADDRESS, 0 - (uint64_t)FREE_ADDRESS},
        {FREE_ADDRESS, 0 - (uint64_t)FREE_ADDRESS + page},
        {0 - page, page},
        {1ull << 63, page},
        {fixture->info.user_start - page, page},
        {fixture->info.user_start - page, 2 * page},
        {fixture->info.user_end, page},
        {fixture->info.user_end - page, page + 1},
        {FREE_ADDRESS, fixture->info.user_end},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        for (uint32_t kind = TG_MEM_MAP; kind <= TG_MEM_ADVISE; kind++)
            batch_refused(fixture, -EINVAL, -EINVAL,
                          OP(kind, .addr = ranges[i].addr, .length = ranges[i].length, .prot = TG_PROT_READ, .fd = -1,
                             .advice = MADV_DONTNEED));
}

static void reserved_ranges(struct fixture *fixture)
{
    const uint64_t page = PAGE(fixture);
    for (uint32_t i = 0; i < fixture->info.reserved_count; i++) {
        const tg_range *range = &fixture->info.reserved[i];
        const tg_range tries[] = {
            {range->start, range->end},
            {range->start, range->start + 1},
            {range->start - page, range->start + page},
            {range->end - page, range->end + page},
            {range->start - page, range->end + page},
        };
        for (size_t j = 0; j < sizeof(tries) / sizeof(tries[0]); j++)
            for (uint32_t kind = TG_MEM_MAP; kind <= TG_MEM_ADVISE; kind++)
                batch_refused(fixture, -EINVAL, -EINVAL,
                              OP(kind, .addr = tries[j].start, .length = tries[j].end - tries[j].start,
                                 .prot = TG_PROT_READ, .fd = -1, .advice = MADV_DONTNEED));
    }
}

static void bad_fields(struct fixture *fixture)
{
    const uint64_t page = PAGE(fixture);
    static const uint32_t bad_bits[] = {0x8, 0x10, 0x1000000, 0x80000000};
    static const uint32_t bad_flags[] = {TG_MAP_FD, 0x40, 0x1000000, 0x80000000};
    static const int32_t bad_advice[] = {-1, MADV_DONTFORK, MADV_HWPOISON, MADV_WIPEONFORK, 1000};
    for (size_t i = 0; i < sizeof(bad_bits) / sizeof(bad_bits[0]); i++) {
        batch_refused(fixture, -EINVAL, -EINVAL,
                      OP(TG_MEM_MAP, .addr = FREE_ADDRESS, .length = page, .prot = bad_bits[i], .fd = -1));
        batch_refused(fixture, -EINVAL, -EINVAL,
                      OP(TG_MEM_PROTECT, .addr = FREE_ADDRESS, .length = page, .prot = bad_bits[i]));
        batch_refused(fixture, -EINVAL, -EINVAL,
                      OP(TG_MEM_MAP, .addr = FREE_ADDRESS, .length = page, .flags = bad_flags[i], .fd = -1));
    }
    for (size_t i = 0; i < sizeof(bad_advice) / sizeof(bad_advice[0]); i++)
        batch_refused(fixture, -EINVAL, -EOPNOTSUPP,
                      OP(TG_MEM_ADVISE, .addr = FREE_ADDRESS, .length = page, .advice = bad_advice[i]));
}

/* Only the host can refuse these: what stands before them in the batch has run. */
static void host_refuses(struct fixture *fixture, int error, tg_mem_op bad)
{
    tg_mem_op ops[] = {GOOD_MAP, bad, GOOD_MAP};
    size_t done = 77;
    ops[0].length = PAGE(fixture);
    HOLDS(fixture, tg_subprocess_apply(fixture->subprocess, ops, 3, &done) == error);
    HOLDS(fixture, done == 1);
    HOLDS(fixture, tg_platform_last_error(fixture->platform)[0] != '\0');
    HOLDS(fixture, tg_subprocess_unmap(fixture->subprocess, FREE_ADDRESS, PAGE(fixture)) == 0);
    REFUSED(fixture, error, tg_subprocess_apply(fixture->subprocess, &bad, 1, &done));
    HOLDS(fixture, done == 0);
}

static void bad_descriptors(struct fixture *fixture)
{
    const uint64_t page = PAGE(fixture);
    const uint64_t addr = FREE_ADDRESS + 0x100000;
    const int read_only = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const int write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int ends[2] = {-1, -1};
    HOLDS(fixture, read_only >= 0 && write_only >= 0 && pipe(ends) == 0);

    batch_refused(fixture, -EINVAL, -EINVAL,
                  OP(TG_MEM_MAP, .addr = addr, .length = page, .prot = 1, .fd = read_only, .offset = 1));
    host_refuses(fixture, -EBADF, OP(TG_MEM_MAP, .addr = addr, .length = page, .prot = 1, .fd = 19999));
    host_refuses(fixture, -EACCES, OP(TG_MEM_MAP, .addr = addr, .length = page, .prot = 1, .fd = write_only));
    host_refuses(fixture, -EACCES,
                 OP(TG_MEM_MAP, .addr = addr, .length = page, .prot = 3, .flags = TG_MAP_SHARED, .fd = read_only));
    host_refuses(fixture, -ENODEV, OP(TG_MEM_MAP, .addr = addr, .length = page, .prot = 1, .fd = ends[0]));
    host_refuses(fixture, -EEXIST,
                 OP(TG_MEM_MAP, .addr = DATA_ADDRESS, .length = page, .prot = 1, .flags = TG_MAP_NOREPLACE, .fd = -1));
    host_refuses(fixture, -ENOMEM, OP(TG_MEM_PROTECT, .addr = addr, .length = page, .prot = 1));

    close(read_only);
    close(write_only);
    close(ends[0]);
    close(ends[1]);
}

static void handles_and_pointers(struct fixture *fixture)
{
    const tg_mem_op good = GOOD_MAP;
    size_t done = 77;
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_apply(NULL, &good, 1, &done));
    REFUSED(fixture, -EINVAL, tg_subprocess_apply(fixture->subprocess, NULL, 1, &done));
    REFUSED(fixture, -ESRCH, tg_subprocess_apply(fixture->dead, &good, 1, &done));
    HOLDS(fixture, done == 0);
    HOLDS(fixture, tg_subprocess_apply(fixture->subprocess, &good, 0, &done) == 0 && done == 0);
    REFUSED(fixture, -EINVAL, tg_subprocess_apply(fixture->subprocess, NULL, SIZE_MAX, NULL));
}

static void single_operations(struct fixture *fixture)
{
    const uint64_t page = PAGE(fixture);
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_map(NULL, FREE_ADDRESS, page, 1, 0, -1, 0));
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_unmap(NULL, FREE_ADDRESS, page));
    REFUSED_MUTE(fixture, -EINVAL, tg_subprocess_protect(NULL, FREE_ADDRESS, page, 1));
    REFUSED(fixture, -EINVAL, tg_subprocess_map(fixture->subprocess, FREE_ADDRESS, 0, 1, 0, -1, 0));
    REFUSED(fixture, -EINVAL, tg_subprocess_map(fixture->subprocess, FREE_ADDRESS, page, 8, 0, -1, 0));
    REFUSED(fixture, -EINVAL, tg_subprocess_map(fixture->subprocess, FREE_ADDRESS, page, 1, 0x10, -1, 0));
    REFUSED(fixture, -EINVAL, tg_subprocess_unmap(fixture->subprocess, FREE_ADDRESS + 1, page));
    REFUSED(fixture, -EINVAL, tg_subprocess_unmap(fixture->subprocess, FREE_ADDRESS, UINT64_MAX));
    REFUSED(fixture, -EINVAL, tg_subprocess_protect(fixture->subprocess, FREE_ADDRESS, page, 0x100));
    REFUSED(fixture, -ENOMEM, tg_subprocess_protect(fixture->subprocess, FREE_ADDRESS, page, 1));
    REFUSED(fixture, -ESRCH, tg_subprocess_map(fixture->dead, FREE_ADDRESS, page, 1, 0, -1, 0));
    REFUSED(fixture, -ESRCH, tg_subprocess_unmap(fixture->dead, FREE_ADDRESS, page));
    REFUSED(fixture, -ESRCH, tg_subprocess_protect(fixture->dead, FREE_ADDRESS, page, 1));
    HOLDS(fixture, tg_subprocess_unmap(fixture->subprocess, FREE_ADDRESS, page) == 0);
}

void arguments_of_memory_operations(struct fixture *fixture)
{
    handles_and_pointers(fixture);
    bad_kinds(fixture);
    bad_ranges(fixture);
    reserved_ranges(fixture);
    bad_fields(fixture);
    bad_descriptors(fixture);
    single_operations(fixture);
}
