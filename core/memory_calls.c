/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/memory_calls.h"

static uint64_t map_flags(const struct tg_mem_op *op)
{
    uint64_t flags = op->flags & TG_MAP_NOREPLACE ? 0x100000 /* MAP_FIXED_NOREPLACE */ : MAP_FIXED;

    flags |= mapping_is_shared(op) ? MAP_SHARED : MAP_PRIVATE;
    if (op->flags & TG_MAP_POPULATE)
        flags |= MAP_POPULATE;
    if (op->flags & TG_MAP_NORESERVE)
        flags |= MAP_NORESERVE;
    if (op->fd < 0)
        flags |= MAP_ANONYMOUS;
    return flags;
}

void memory_call_fill(struct stub_call *call, const struct tg_mem_op *op)
{
    memset(call, 0, sizeof(*call));
    call->args[0] = op->addr;
    call->args[1] = op->length;
    switch (op->kind) {
    case TG_MEM_MAP:
        call->nr = tgi_arch.syscalls.mmap;
        call->args[2] = op->prot;
        call->args[3] = map_flags(op);
        call->args[4] = (uint32_t)op->fd;
        call->args[5] = op->offset;
        break;
    case TG_MEM_UNMAP:
        call->nr = tgi_arch.syscalls.munmap;
        break;
    case TG_MEM_PROTECT:
        call->nr = tgi_arch.syscalls.mprotect;
        call->args[2] = op->prot;
        break;
    case TG_MEM_MOVE:
        call->nr = tgi_arch.syscalls.mremap;
        call->args[2] = op->length;
        call->args[3] = MREMAP_MAYMOVE | MREMAP_FIXED;
        call->args[4] = op->offset;
        break;
    default:
        call->nr = tgi_arch.syscalls.madvise;
        call->args[2] = (uint32_t)op->advice;
        break;
    }
}

int memory_calls_prepare(struct tg_subprocess *subprocess, size_t n)
{
    if (mapping_table_reserve(&subprocess->mappings, n))
        return platform_fail(subprocess->platform, -ENOMEM, "memory operation: no memory to remember the mappings");
    return 0;
}

void memory_calls_made(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, int64_t result)
{
    const uint64_t page_size = subprocess->platform->info.page_size;

    for (size_t i = 0; i < n; i++)
        mapping_table_note(&subprocess->mappings, &ops[i], page_size, 0);
    if (result)
        mapping_table_note(&subprocess->mappings, &ops[n], page_size, result);
}

int memory_call_failed(struct tg_subprocess *subprocess, const struct tg_mem_op *op, size_t index, int64_t err)
{
    struct tg_platform *platform = subprocess->platform;

    switch (err) {
    case -ENOMEM:
        if (op->kind == TG_MEM_PROTECT || op->kind == TG_MEM_ADVISE)
            return platform_fail(platform, -ENOMEM,
                                 "memory operation %zu: part of the range is not mapped, or the host has no memory or "
                                 "mappings left (vm.max_map_count)",
                                 index);
        return platform_fail(platform, -ENOMEM,
                             "memory operation %zu: the host has no memory or mappings left (vm.max_map_count)", index);
    case -EFAULT:
        return platform_fail(platform, -ENOMEM,
                             "memory operation %zu: part of the range is not mapped, or it is more than one mapping",
                             index);
    case -EACCES:
        return platform_fail(platform, -EACCES,
                             "memory operation %zu: the descriptor was not opened for what prot asks", index);
    case -EBADF:
    case -ENODEV:
    case -EEXIST:
    case -EPERM:
    case -EAGAIN:
        return platform_fail(platform, (int)err, "memory operation %zu: %s", index, strerror((int)-err));
    case -EINVAL:
        if (op->kind == TG_MEM_ADVISE)
            return platform_fail(platform, -EOPNOTSUPP,
                                 "memory operation %zu: the host does not know this advice or not for this mapping",
                                 index);
        return platform_fail(platform, -EINVAL, "memory operation %zu: the host refuses its arguments", index);
    default:
        return platform_fail(platform, -EIO, "memory operation %zu: %s", index, strerror((int)-err));
    }
}
