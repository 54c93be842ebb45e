/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* An empty subprocess again, with its process. */
#include <errno.h>

#include "core/backend.h"
#include "core/brought.h"
#include "core/clocks_inherit.h"

static const char what[] = "reset a subprocess";

/* Operations that unmap all that guests can have: between the reserved ranges. How many. */
static size_t unmap_all(const struct tg_info *info, struct tg_mem_op ops[TG_RESERVED_MAX + 1])
{
    uint64_t from = info->user_start;
    size_t n = 0;

    for (uint32_t i = 0; i <= info->reserved_count; i++) {
        const uint64_t to = i < info->reserved_count ? info->reserved[i].start : info->user_end;

        if (from < to)
            ops[n++] = (struct tg_mem_op){
                .size = sizeof(*ops), .kind = TG_MEM_UNMAP, .addr = from, .length = to - from, .fd = -1};
        if (i < info->reserved_count)
            from = info->reserved[i].end;
    }
    return n;
}

static int reset_failed(struct tg_platform *platform, int err)
{
    switch (err) {
    case -EBUSY:
        return platform_fail(platform, err,
                             "%s: a context runs in it or has an event from there that nobody has taken, or another "
                             "thread uses it or a context that ran there last",
                             what);
    case -EAGAIN:
        return platform_fail(platform, err,
                             "%s: the host refuses another thread; raise RLIMIT_NPROC or the pids limit of the cgroup",
                             what);
    case -ENOMEM:
        return platform_fail(platform, err, "%s: no memory, in this process or on the host", what);
    case -ESRCH:
        return platform_fail(platform, err, "%s: its stub is dead, or did not answer and was killed; make another one",
                             what);
    default:
        return platform_fail(platform, -EIO, "%s: the host refuses a call in the stub", what);
    }
}

static int reset_alone(struct tg_subprocess *subprocess)
{
    struct tg_mem_op unmaps[TG_RESERVED_MAX + 1];
    struct tg_platform *platform = subprocess->platform;
    const size_t n = unmap_all(&platform->info, unmaps);
    const int err = platform->ops->subprocess_reset(subprocess, unmaps, n);

    if (err)
        return reset_failed(platform, err);
    brought_forget(subprocess);
    clocks_forget(subprocess);
    return 0;
}

int subprocess_reset(struct tg_subprocess *subprocess)
{
    struct tg_platform *platform = subprocess->platform;
    int err;

    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, what);
    err = subprocess_enter_alone(subprocess);
    if (err)
        return reset_failed(platform, err);
    err = reset_alone(subprocess);
    subprocess_leave_alone(subprocess);
    return err;
}
