/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdarg.h>

#include "core/failure.h"
#include "core/last_error.h"

int platform_fail(struct tg_platform *platform, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    last_error_set(platform->id, format, args);
    va_end(args);
    return err;
}

int platform_fail_null(const struct tg_platform *platform, const char *function)
{
    if (!platform)
        return -EINVAL;
    return platform_fail((struct tg_platform *)(uintptr_t)platform, -EINVAL, "%s: an argument is NULL", function);
}
