/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Checking memory operations. */
#include <errno.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "core/backend.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

#define PROT_ALL      (TG_PROT_READ | TG_PROT_WRITE | TG_PROT_EXEC)
#define MAP_FLAGS_ALL (TG_MAP_SHARED | TG_MAP_POPULATE | TG_MAP_NORESERVE | TG_MAP_NOREPLACE | TG_MAP_FD | TG_MAP_CODE)

static const int advices[] = {
    MADV_DONTNEED, MADV_WILLNEED, MADV_FREE,    MADV_HUGEPAGE,      MADV_NOHUGEPAGE,
    MADV_REMOVE,   MADV_COLD,     MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
};

static bool overlaps(const struct tg_range *range, uint64_t start, uint64_t end)
{
    return start < range->end && range->start < end;
}

static int refuse_range(struct tg_platform *platform, size_t index, const struct tg_mem_op *op, const char *what,
                        const struct tg_range *limits)
{
    return platform_fail(platform, -EINVAL,
                         "memory operation %zu: 0x%llx bytes at 0x%llx reach %s of tg_info, 0x%llx to 0x%llx", index,
                         (unsigned long long)op->length, (unsigned long long)op->addr, what,
                         (unsigned long long)limits->start, (unsigned long long)limits->end);
}

/* Which of them it is. */
static const char *into_reserved(const struct tg_info *info)
{
    if (info->capabilities & TG_CAP_PATCHING)
        return "into a reserved range (for patched calls: TG_OPEN_NO_PATCHING, --no-patching, gives it back)";
    return "into a reserved range";
}

/* The address is a multiple of the page size and the length is not 0. */
static int check_range(struct tg_platform *platform, size_t index, const struct tg_mem_op *op)
{
    const struct tg_info *info = &platform->info;
    const struct tg_range user = {info->user_start, info->user_end};
    uint64_t mask = info->page_size - 1;
    uint64_t end;

    if (op->addr < user.start || op->addr >= user.end || op->length > user.end - op->addr)
        return refuse_range(platform, index, op, "outside the user address range", &user);
    end = (op->addr + op->length + mask) & ~mask;
    for (uint32_t i = 0; i < info->reserved_count; i++) {
        if (overlaps(&info->reserved[i], op->addr, end))
            return refuse_range(platform, index, op, into_reserved(info), &info->reserved[i]);
    }
    return 0;
}

static const char *check_map(const struct tg_info *info, const struct tg_mem_op *op)
{
    if (op->prot & ~(uint32_t)PROT_ALL)
        return "unknown bits in prot";
    if (op->flags & ~(uint32_t)MAP_FLAGS_ALL)
        return "unknown bits in flags";
    if (op->flags & TG_MAP_CODE && (op->prot & (TG_PROT_EXEC | TG_PROT_WRITE)) != TG_PROT_EXEC)
        return "TG_MAP_CODE is for what can be run and cannot be written";
    if (op->fd < -1)
        return "the descriptor is negative and not -1";
    if (op->fd == 0 && !(op->flags & TG_MAP_FD))
        return "fd is 0, which maps descriptor 0 only with TG_MAP_FD; zero pages have fd -1";
    if (op->fd == -1 && op->flags & TG_MAP_FD)
        return "TG_MAP_FD without a descriptor";
    if (op->fd == -1 && op->offset)
        return "an offset without a descriptor";
    if (op->offset & (info->page_size - 1))
        return "the offset is not a multiple of the page size";
    if (op->offset > (uint64_t)INT64_MAX - op->length)
        return "offset and length overflow";
    return NULL;
}

static const char *check_advice(const struct tg_mem_op *op)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        if (op->advice == advices[i])
            return NULL;
    }
    return "an advice that is not in the list of TG_MEM_ADVISE";
}

static const char *check_move(const struct tg_info *info, const struct tg_mem_op *op)
{
    if (op->flags)
        return "unknown bits in flags";
    return op->offset & (info->page_size - 1) ? "the new address is not a multiple of the page size" : NULL;
}

static const char *check_op(const struct tg_info *info, const struct tg_mem_op *op)
{
    if (op->addr & (info->page_size - 1))
        return "the address is not a multiple of the page size";
    if (!op->length)
        return "the length is 0";
    switch (op->kind) {
    case TG_MEM_MAP:
        return check_map(info, op);
    case TG_MEM_UNMAP:
        return NULL;
    case TG_MEM_PROTECT:
        return op->prot & ~(uint32_t)PROT_ALL ? "unknown bits in prot" : NULL;
    case TG_MEM_ADVISE:
        return check_advice(op);
    case TG_MEM_MOVE:
        return check_move(info, op);
    default:
        return "an unknown kind";
    }
}

/* Where it is and, of one that moves, where it goes. */
static int check_ranges(struct tg_platform *platform, size_t index, const struct tg_mem_op *op)
{
    const struct tg_mem_op there = {.addr = op->offset, .length = op->length};
    const uint64_t mask = platform->info.page_size - 1;
    const uint64_t length = (op->length + mask) & ~mask;
    int err = check_range(platform, index, op);

    if (err || op->kind != TG_MEM_MOVE)
        return err;
    err = check_range(platform, index, &there);
    if (!err && op->addr < op->offset + length && op->offset < op->addr + length)
        err = platform_fail(platform, -EINVAL, "memory operation %zu: the new range overlaps the old one", index);
    return err;
}

int subprocess_check_ops(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n)
{
    struct tg_platform *platform = subprocess->platform;

    for (size_t i = 0; i < n; i++) {
        const char *wrong = check_op(&platform->info, &ops[i]);
        int err = wrong ? platform_fail(platform, -EINVAL, "memory operation %zu: %s", i, wrong)
                        : check_ranges(platform, i, &ops[i]);

        if (err)
            return err;
    }
    return 0;
}

int subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    int err;

    *done = 0;
    if (!platform_is_ours(subprocess->platform))
        return platform_refuse_fork(subprocess->platform, "memory operation");
    if (!subprocess_enter(subprocess))
        return platform_fail(subprocess->platform, -ESRCH, "memory operation: the subprocess is being destroyed");
    err = n ? subprocess->platform->ops->subprocess_apply(subprocess, ops, n, done) : 0;
    subprocess_leave(subprocess);
    return err;
}
