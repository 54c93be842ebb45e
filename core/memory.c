/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Checking memory operations, and copying guest memory. */
#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

#include "core/backend.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

#define PROT_ALL      (TG_PROT_READ | TG_PROT_WRITE | TG_PROT_EXEC)
#define MAP_FLAGS_ALL (TG_MAP_SHARED | TG_MAP_POPULATE | TG_MAP_NORESERVE | TG_MAP_NOREPLACE | TG_MAP_FD | TG_MAP_CODE)
#define COPY_MAX      ((size_t)1 << 30) /* the kernel refuses more than about 2 GiB at once */

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
    default:
        return "an unknown kind";
    }
}

int subprocess_check_ops(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n)
{
    struct tg_platform *platform = subprocess->platform;

    for (size_t i = 0; i < n; i++) {
        const char *wrong = check_op(&platform->info, &ops[i]);
        int err = wrong ? platform_fail(platform, -EINVAL, "memory operation %zu: %s", i, wrong)
                        : check_range(platform, i, &ops[i]);

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

static int copy_failed(struct tg_subprocess *subprocess, int error, uint64_t addr)
{
    struct tg_platform *platform = subprocess->platform;

    switch (error) {
    case EFAULT:
    case EINVAL:
    case EIO:
        return platform_fail(platform, -EFAULT, "copy guest memory: no access at 0x%llx", (unsigned long long)addr);
    case ESRCH:
        return platform_fail(platform, -ESRCH, "copy guest memory: the stub process is dead");
    case EPERM:
    case EACCES:
    case ENOSYS:
        return platform_fail(platform, -EPERM,
                             "copy guest memory: process_vm_readv or process_vm_writev is forbidden (a seccomp filter, "
                             "Yama or an LSM); allow them in the embedder");
    case EMFILE:
    case ENFILE:
        return platform_fail(platform, -EMFILE,
                             "copy guest memory: no descriptor is left, and without process_vm_readv and "
                             "process_vm_writev each subprocess takes one more; raise RLIMIT_NOFILE");
    case ENOMEM:
        return platform_fail(platform, -ENOMEM, "copy guest memory: the host has no memory");
    default:
        return platform_fail(platform, -EIO, "copy guest memory: %s", strerror(error));
    }
}

/* One copy between the embedder and a guest. */
struct guest_copying {
    struct tg_context *context; /* that may have run there last, and that the caller has taken; NULL: none */
    struct tg_subprocess *subprocess;
    bool to_guest;
    uint64_t addr;
    char *buffer;
    size_t length;
};

static ssize_t copy_part(const struct guest_copying *copying, size_t from, size_t length)
{
    const struct backend_ops *ops = copying->subprocess->platform->ops;
    const uint64_t addr = copying->addr + from;
    char *buffer = copying->buffer + from;

    if (copying->context && ops->context_copy)
        return ops->context_copy(copying->context, copying->subprocess, copying->to_guest, addr, buffer, length);
    return ops->subprocess_copy(copying->subprocess, copying->to_guest, addr, buffer, length);
}

/* Goes on behind each partial copy, so that what ends it is the first byte that cannot be copied. */
static int copy_memory(const struct guest_copying *copying, size_t *done)
{
    uint64_t user_end = copying->subprocess->platform->info.user_end;

    while (*done < copying->length) {
        uint64_t at = copying->addr + *done;
        size_t part = copying->length - *done;
        ssize_t copied;

        if (at >= user_end || at < copying->addr)
            return copy_failed(copying->subprocess, EFAULT, at);
        if (part > user_end - at)
            part = user_end - at;
        if (part > COPY_MAX)
            part = COPY_MAX;
        copied = copy_part(copying, *done, part);
        if (copied <= 0)
            return copy_failed(copying->subprocess, copied ? (int)-copied : EFAULT, at);
        *done += (size_t)copied;
    }
    return 0;
}

/* In parts that end where a page does: what is behind the 0 byte may not be there. */
static int copy_string(struct guest_copying *copying, size_t capacity, size_t *length)
{
    const uint64_t page = copying->subprocess->platform->info.page_size;

    while (*length < capacity) {
        const uint64_t at = copying->addr + *length;
        const uint64_t in_page = page - (at & (page - 1));
        const char *part = copying->buffer + *length;
        const char *end;
        int err;

        copying->length = *length + (capacity - *length < in_page ? capacity - *length : in_page);
        err = copy_memory(copying, length);
        end = memchr(part, 0, (size_t)(copying->buffer + *length - part));
        if (end)
            *length = (size_t)(end - copying->buffer);
        if (end || err)
            return end ? 0 : err;
    }
    return 0;
}

/* In a process that was forked from the embedder nobody knows whose number that of the stub is by now. */
static int go_inside(struct tg_subprocess *subprocess, uint64_t addr)
{
    if (platform_is_copy(subprocess->platform))
        return platform_refuse_fork(subprocess->platform, "copy guest memory");
    return subprocess_enter(subprocess) ? 0 : copy_failed(subprocess, ESRCH, addr);
}

static int enter_and_copy(const struct guest_copying *copying, size_t *done)
{
    int err;

    *done = 0;
    err = go_inside(copying->subprocess, copying->addr);
    if (err)
        return err;
    err = copy_memory(copying, done);
    subprocess_leave(copying->subprocess);
    return err;
}

int subprocess_read(struct tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, size_t *done)
{
    return enter_and_copy(&(struct guest_copying){NULL, subprocess, false, addr, buffer, length}, done);
}

int subprocess_write(struct tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length, size_t *done)
{
    char *bytes = (char *)(uintptr_t)buffer;

    return enter_and_copy(&(struct guest_copying){NULL, subprocess, true, addr, bytes, length}, done);
}

int subprocess_write_inside(struct tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length)
{
    const struct guest_copying copying = {NULL, subprocess, true, addr, (char *)(uintptr_t)buffer, length};
    size_t done = 0;

    return copy_memory(&copying, &done);
}

int context_copy_memory(struct tg_context *context, struct tg_subprocess *subprocess, bool to_guest, uint64_t addr,
                        void *buffer, size_t length, size_t *done)
{
    return enter_and_copy(&(struct guest_copying){context, subprocess, to_guest, addr, buffer, length}, done);
}

int context_read_string(struct tg_context *context, struct tg_subprocess *subprocess, uint64_t addr, char *buffer,
                        size_t capacity, size_t *length)
{
    struct guest_copying copying = {context, subprocess, false, addr, buffer, 0};
    int err;

    *length = 0;
    err = go_inside(subprocess, addr);
    if (err)
        return err;
    err = copy_string(&copying, capacity, length);
    subprocess_leave(subprocess);
    return err;
}
