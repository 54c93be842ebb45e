/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "core/last_error.h"
#include "core/refusal.h"

int platform_fail(struct tg_platform *platform, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    last_error_set(platform->id, format, args);
    va_end(args);
    return err;
}

int platform_refuse_null(const struct tg_platform *platform, const char *function)
{
    if (!platform)
        return -EINVAL;
    return platform_fail((struct tg_platform *)(uintptr_t)platform, -EINVAL, "%s: an argument is NULL", function);
}

int platform_is_ours(const struct tg_platform *platform)
{
    return platform->owner == getpid();
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
