/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Batches of memory operations against a real subprocess. An array with an
 * operation that the header forbids changes nothing; any other gives a result
 * of the closed list and a count that fits it; the stub stays as it was.
 *
 * Input: ten bytes for each operation. Addresses are chosen from the places
 * where something can go wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <trapgate/trapgate.h>

#include "fuzz_target.h"

#define OPS_MAX      64
#define PAGES_MAX    64 /* of one operation: populated memory is real memory */
#define MAPS_MAX     (1 << 16)
#define FIELD_VALUES 16                       /* values of prot that are tried; half of them have no meaning */
#define MAP_FLAGS    (2 * (TG_MAP_CODE << 1)) /* likewise, of flags */

enum descriptor { NONE, READ_WRITE, READ_ONLY, PIPE, CLOSED, NEGATIVE, DESCRIPTORS };

static struct {
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_info info;
    int32_t descriptors[DESCRIPTORS];
    tg_mem_op cleanup[TG_RESERVED_MAX + 1];
    size_t cleanup_count;
    char maps_at_start[MAPS_MAX];
} world;

/* Advice that the header names. */
static const int32_t named_advice[] = {MADV_DONTNEED,   MADV_WILLNEED, MADV_FREE,          MADV_HUGEPAGE,
                                       MADV_NOHUGEPAGE, MADV_REMOVE,   MADV_POPULATE_READ, MADV_POPULATE_WRITE,
                                       MADV_COLD,       MADV_PAGEOUT};
static const int32_t other_advice[] = {-1, MADV_DONTFORK, MADV_WIPEONFORK, MADV_HWPOISON, MADV_DONTDUMP, 12345};

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "the fuzz target cannot start: %s\n", what);
    exit(1);
}

static void read_maps(char *text)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/maps", tg_subprocess_pid(world.subprocess));
    FILE *file = fopen(path, "re");
    need(file != NULL, path);
    const size_t length = fread(text, 1, MAPS_MAX - 1, file);
    text[length] = '\0';
    need(length < MAPS_MAX - 1, "too many mappings");
    fclose(file);
}

/* Everything that is not reserved, as unmap operations: reserved ranges are in no particular order. */
static void plan_cleanup(void)
{
    uint64_t from = world.info.user_start;
    while (from < world.info.user_end) {
        tg_range next = {world.info.user_end, world.info.user_end};
        for (uint32_t i = 0; i < world.info.reserved_count; i++)
            if (world.info.reserved[i].start >= from && world.info.reserved[i].start < next.start)
                next = world.info.reserved[i];
        if (next.start > from)
            world.cleanup[world.cleanup_count++] =
                (tg_mem_op){.size = sizeof(tg_mem_op), .kind = TG_MEM_UNMAP, .addr = from, .length = next.start - from};
        from = next.end;
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const tg_platform_options options = {.size = sizeof(options), .backend = TG_BACKEND_PTRACE};
    int ends[2];
    (void)argc;
    (void)argv;
    world.info.size = sizeof(world.info);
    need(tg_platform_open(&options, &world.platform) == 0, "tg_platform_open");
    need(tg_platform_info(world.platform, &world.info) == 0, "tg_platform_info");
    need(tg_subprocess_create(world.platform, &world.subprocess) == 0, "tg_subprocess_create");
    world.descriptors[NONE] = -1;
    world.descriptors[READ_WRITE] = memfd_create("fuzz", MFD_CLOEXEC);
    need(world.descriptors[READ_WRITE] >= 0 && ftruncate(world.descriptors[READ_WRITE], 8 * world.info.page_size) == 0,
         "memfd_create");
    world.descriptors[READ_ONLY] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    need(world.descriptors[READ_ONLY] >= 0 && pipe2(ends, O_CLOEXEC) == 0, "open, pipe2");
    world.descriptors[PIPE] = ends[0];
    close(ends[1]);
    world.descriptors[CLOSED] = 4000;
    world.descriptors[NEGATIVE] = -77;
    plan_cleanup();
    read_maps(world.maps_at_start);
    return 0;
}

static uint64_t choose_place(uint64_t choice)
{
    const tg_range *reserved = &world.info.reserved[0];
    const uint64_t places[] = {
        0x10000000,          0x10000000,      0x10000000,    0x20000000,          0,          world.info.user_start,
        world.info.user_end, reserved->start, reserved->end, UINT64_MAX - 0xffff, 1ull << 47, UINT64_MAX / 2 + 1,
    };
    return places[choice % (sizeof(places) / sizeof(places[0]))];
}

/* Large lengths only where they cannot be granted. */
static uint64_t choose_length(uint64_t choice)
{
    const uint64_t page = world.info.page_size;
    const uint64_t odd[] = {0, 1, page - 1, page + 1, UINT64_MAX, UINT64_MAX - page, world.info.user_end, 1ull << 63};
    if (choice < PAGES_MAX)
        return (choice + 1) * page;
    return odd[choice % (sizeof(odd) / sizeof(odd[0]))];
}

static int32_t choose_advice(uint64_t choice)
{
    const size_t named = sizeof(named_advice) / sizeof(named_advice[0]);
    choice %= named + sizeof(other_advice) / sizeof(other_advice[0]);
    return choice < named ? named_advice[choice] : other_advice[choice - named];
}

static tg_mem_op take_op(struct input *input)
{
    const uint64_t page = world.info.page_size;
    tg_mem_op op = {.size = sizeof(op)};
    op.kind = (uint32_t)take_number(input, 1) % 7;
    op.addr = choose_place(take_number(input, 1));
    op.addr += (take_number(input, 1) - 128) * page;
    op.length = choose_length(take_number(input, 1));
    op.prot = (uint32_t)take_number(input, 1) % FIELD_VALUES;
    op.flags = (uint32_t)take_number(input, 1) % MAP_FLAGS;
    op.fd = world.descriptors[take_number(input, 1) % DESCRIPTORS];
    op.advice = choose_advice(take_number(input, 1));
    const uint64_t offset = take_number(input, 1);
    op.offset = op.fd == -1 ? 0 : offset % 16 * page;
    /* Now and then something is not on a page border. */
    const uint64_t skew = take_number(input, 1);
    if (skew % 32 == 1)
        op.addr += skew;
    if (skew % 32 == 2)
        op.offset += skew;
    if (op.kind == TG_MEM_MOVE)
        op.offset += choose_place(offset);
    return op;
}

static bool range_allowed(const tg_mem_op *op)
{
    const uint64_t mask = world.info.page_size - 1;
    if ((op->addr & mask) != 0 || op->length == 0 || op->length > UINT64_MAX - mask)
        return false;
    const uint64_t length = (op->length + mask) & ~mask;
    if (op->addr < world.info.user_start || op->addr > world.info.user_end || length > world.info.user_end - op->addr)
        return false;
    for (uint32_t i = 0; i < world.info.reserved_count; i++)
        if (op->addr < world.info.reserved[i].end && world.info.reserved[i].start < op->addr + length)
            return false;
    return true;
}

/* Two ranges of the same length, both of them allowed. */
static bool move_allowed(const tg_mem_op *op)
{
    const uint64_t apart = op->addr < op->offset ? op->offset - op->addr : op->addr - op->offset;
    tg_mem_op there = *op;
    there.addr = op->offset;
    return op->flags == 0 && range_allowed(&there) && apart >= op->length;
}

static bool advice_named(int32_t advice)
{
    for (size_t i = 0; i < sizeof(named_advice) / sizeof(named_advice[0]); i++)
        if (named_advice[i] == advice)
            return true;
    return false;
}

/* Code is not writable. A descriptor that is meant as it is, is one. */
static bool map_flags_allowed(const tg_mem_op *op)
{
    if (op->flags >= TG_MAP_CODE << 1 || (op->flags & TG_MAP_FD && op->fd == -1))
        return false;
    return !(op->flags & TG_MAP_CODE) || (op->prot & (TG_PROT_EXEC | TG_PROT_WRITE)) == TG_PROT_EXEC;
}

/* What the header allows, read independently of the library. */
static bool allowed(const tg_mem_op *op)
{
    if (!range_allowed(op))
        return false;
    switch (op->kind) {
    case TG_MEM_MAP:
        return op->prot <= 7 && map_flags_allowed(op) && (op->offset & (world.info.page_size - 1)) == 0;
    case TG_MEM_UNMAP:
        return true;
    case TG_MEM_PROTECT:
        return op->prot <= 7;
    case TG_MEM_ADVISE:
        return advice_named(op->advice);
    case TG_MEM_MOVE:
        return move_allowed(op);
    default:
        return false;
    }
}

static bool documented(int result)
{
    static const int results[] = {0,       -EINVAL, -ENOMEM, -EACCES,     -EBADF, -ENODEV,
                                  -EEXIST, -EPERM,  -EAGAIN, -EOPNOTSUPP, -EIO};
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] == result)
            return true;
    return false;
}

static void apply_and_check(const tg_mem_op *ops, size_t count)
{
    static char before[MAPS_MAX];
    static char after[MAPS_MAX];
    bool all_allowed = true;
    size_t done = 12345;
    for (size_t i = 0; i < count; i++)
        all_allowed = all_allowed && allowed(&ops[i]);
    read_maps(before);
    const int result = tg_subprocess_apply(world.subprocess, ops, count, &done);
    INVARIANT(documented(result));
    INVARIANT(result == 0 ? done == count : done < count);
    INVARIANT(result == 0 || tg_platform_last_error(world.platform)[0] != '\0');
    if (all_allowed)
        return;
    INVARIANT(result == -EINVAL || result == -EOPNOTSUPP || result == -EBADF);
    INVARIANT(done == 0);
    read_maps(after);
    INVARIANT(strcmp(before, after) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char maps[MAPS_MAX];
    struct input input = {data, size};
    tg_mem_op ops[OPS_MAX];
    while (input.left > 0) {
        const size_t wanted = 1 + take_number(&input, 1) % OPS_MAX;
        size_t count = 0;
        while (count < wanted && input.left > 0)
            ops[count++] = take_op(&input);
        apply_and_check(ops, count);
    }
    INVARIANT(tg_subprocess_apply(world.subprocess, world.cleanup, world.cleanup_count, NULL) == 0);
    read_maps(maps);
    INVARIANT(strcmp(maps, world.maps_at_start) == 0);
    return 0;
}
