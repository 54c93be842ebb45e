/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whose process this is: the one that opened the platform, or one that was
 * forked from it, which has a copy of the platform and none of its stubs.
 */
#ifndef CORE_OPENER_H
#define CORE_OPENER_H

#include "core/platform.h"

/* Is this the process that opened the platform? */
int platform_is_ours(const struct tg_platform *platform);

/* The same without a system call, for switches. Also true where the kernel wipes no pages (before Linux 4.14). */
static inline bool platform_may_be_ours(const struct tg_platform *platform)
{
    return *platform->opener;
}

/* Was this process forked from the opener's, so that the platform here is a copy? Mostly without a system call. */
static inline bool platform_is_copy(const struct tg_platform *platform)
{
    return platform->wipes_opener ? !*platform->opener : !platform_is_ours(platform);
}

/*
 * tg_platform.lock, in the process that opened the platform. One that was
 * forked from it has a single thread, and a copy that a thread may hold which
 * is not there: it takes none. That is for all locks: where such a process is
 * not refused, it takes no other.
 */
void platform_lock(struct tg_platform *platform);
void platform_unlock(struct tg_platform *platform);

/* What a process that was forked from the opener gets for calls that reach a stub. */
int platform_refuse_fork(struct tg_platform *platform, const char *what);

#endif
