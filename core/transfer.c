/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>

#include "core/backend.h"
#include "core/host_transfer.h"

static int transfer_failed(struct tg_subprocess *subprocess, int error, uint64_t addr)
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

/* Of the first piece, which is not over, and as many of those behind it as go with it. */
static ssize_t move_some(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_transfer *pieces,
                         size_t n)
{
    const struct backend_ops *ops = subprocess->platform->ops;

    if (!transfer_part(subprocess->platform, pieces))
        return -EFAULT;
    if (context && ops->context_transfer)
        return ops->context_transfer(context, subprocess, pieces, n);
    return host_transfer(subprocess, pieces, n);
}

/* Strings that were not at their end may have been overtaken. */
static void undo(struct tg_transfer *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pieces[i].done = 0;
}

/* Goes on behind each partial copy, so that what ends it is the first byte that cannot be copied. */
static int move_all(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_transfer *pieces, size_t n)
{
    for (size_t i = 0; i < n;) {
        const uint64_t at = pieces[i].addr + pieces[i].done;
        ssize_t moved;

        if (transfer_is_over(&pieces[i])) {
            i++;
            continue;
        }
        moved = move_some(context, subprocess, pieces + i, n - i);
        if (moved > 0)
            continue;
        undo(pieces + i + 1, n - i - 1);
        return transfer_failed(subprocess, moved ? (int)-moved : EFAULT, at);
    }
    return 0;
}

int context_transfer(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_transfer *pieces, size_t n)
{
    int err;

    /* In a process that was forked from the embedder nobody knows whose number that of the stub is by now. */
    if (platform_is_copy(subprocess->platform))
        return platform_refuse_fork(subprocess->platform, "copy guest memory");
    if (!subprocess_enter(subprocess))
        return transfer_failed(subprocess, ESRCH, 0);
    err = move_all(context, subprocess, pieces, n);
    subprocess_leave(subprocess);
    return err;
}

int subprocess_transfer_inside(struct tg_subprocess *subprocess, struct tg_transfer *pieces, size_t n)
{
    return move_all(NULL, subprocess, pieces, n);
}

static int move_one(struct tg_subprocess *subprocess, struct tg_transfer piece, size_t *done)
{
    const int err = context_transfer(NULL, subprocess, &piece, 1);

    *done = piece.done;
    return err;
}

int subprocess_read(struct tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, size_t *done)
{
    return move_one(subprocess, transfer_piece(TG_TRANSFER_READ, addr, buffer, length), done);
}

int subprocess_write(struct tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length, size_t *done)
{
    return move_one(subprocess, transfer_piece(TG_TRANSFER_WRITE, addr, (void *)(uintptr_t)buffer, length), done);
}
