/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <unistd.h>

#include "core/failure.h"
#include "core/opener.h"

int platform_is_ours(const struct tg_platform *platform)
{
    return platform->embedder == getpid();
}

void platform_lock(struct tg_platform *platform)
{
    if (!platform_is_copy(platform))
        pthread_mutex_lock(&platform->lock);
}

void platform_unlock(struct tg_platform *platform)
{
    if (!platform_is_copy(platform))
        pthread_mutex_unlock(&platform->lock);
}

int platform_refuse_fork(struct tg_platform *platform, const char *what)
{
    return platform_fail(platform, -EPERM, "%s: the platform belongs to the process that has opened it", what);
}
