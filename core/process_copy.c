/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sys/uio.h>

#include "core/process_copy.h"

static ssize_t copy_directly(pid_t pid, const struct guest_parts *parts)
{
    const size_t n = parts->count;
    const ssize_t copied = parts->to_guest ? process_vm_writev(pid, parts->ours, n, parts->guest, n, 0)
                                           : process_vm_readv(pid, parts->ours, n, parts->guest, n, 0);

    return copied < 0 ? -errno : copied;
}

static bool is_forbidden(ssize_t result)
{
    return result == -EPERM || result == -EACCES || result == -ENOSYS;
}

ssize_t process_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts, guest_copy *otherwise)
{
    struct tg_platform *platform = subprocess->platform;

    if (!atomic_load_explicit(&platform->copies_forbidden, memory_order_relaxed)) {
        ssize_t copied = copy_directly(atomic_load(&subprocess->pid), parts);

        if (!is_forbidden(copied))
            return copied;
        atomic_store(&platform->copies_forbidden, true);
    }
    return otherwise(subprocess, parts->to_guest, (uintptr_t)parts->guest->iov_base, parts->ours->iov_base,
                     parts->guest->iov_len);
}
