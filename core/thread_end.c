/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/thread_end.h"

bool thread_has_ended(pid_t tid)
{
    const int saved_errno = errno;
    /* Nobody else's: the kernel marks it while it asks, and then it is forgotten. */
    uint32_t lock = (uint32_t)tid;
    bool ended = syscall(SYS_futex, &lock, FUTEX_TRYLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0) && errno == ESRCH;

    errno = saved_errno;
    return ended;
}
