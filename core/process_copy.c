/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sys/uio.h>

#include "core/process_copy.h"

static ssize_t copy_directly(pid_t pid, bool to_guest, uint64_t addr, void *buffer, size_t length)
{
    const struct iovec local = {.iov_base = buffer, .iov_len = length};
    const struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = length};
    ssize_t copied =
        to_guest ? process_vm_writev(pid, &local, 1, &remote, 1, 0) : process_vm_readv(pid, &local, 1, &remote, 1, 0);

    return copied < 0 ? -errno : copied;
}

static bool is_forbidden(ssize_t result)
{
    return result == -EPERM || result == -EACCES || result == -ENOSYS;
}

ssize_t process_copy(struct tg_subprocess *subprocess, bool to_guest, uint64_t addr, void *buffer, size_t length,
                     guest_copy *otherwise)
{
    struct tg_platform *platform = subprocess->platform;

    if (!atomic_load_explicit(&platform->copies_forbidden, memory_order_relaxed)) {
        ssize_t copied = copy_directly(atomic_load(&subprocess->pid), to_guest, addr, buffer, length);

        if (!is_forbidden(copied))
            return copied;
        atomic_store(&platform->copies_forbidden, true);
    }
    return otherwise(subprocess, to_guest, addr, buffer, length);
}
