/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdbool.h>

#include "core/sweep.h"

#define CALLS_MAX 2000 /* a sealed range takes about a hundred */

struct sweep {
    struct tg_platform *platform;
    sweep_call *unmap;
    void *arg;
    unsigned int calls;
    unsigned int vdso_pages; /* that are sealed: of its code the first, of its data the last */
};

static void note_vdso(struct sweep *sweep, uint64_t page)
{
    const struct tg_platform *platform = sweep->platform;

    sweep->vdso_pages += page == platform->host_vdso || page + platform->info.page_size == platform->host_vdso;
}

/* Neighbours become one range. */
static int keep(struct tg_info *info, uint64_t page)
{
    struct tg_range *last = info->reserved_count ? &info->reserved[info->reserved_count - 1] : NULL;

    /* Above no guest may map anything anyway. */
    if (page >= info->user_end)
        return 0;
    if (last && last->end == page) {
        last->end += info->page_size;
        return 0;
    }
    if (info->reserved_count == TG_RESERVED_MAX)
        return -EPERM;
    info->reserved[info->reserved_count++] = (struct tg_range){.start = page, .end = page + info->page_size};
    return 0;
}

/* From below: the kept pages come in their order. */
static int sweep_range(struct sweep *sweep, uint64_t start, uint64_t end)
{
    const uint64_t page = sweep->platform->info.page_size;
    uint64_t middle = (start + (end - start) / 2) & ~(page - 1);
    int err;

    if (start == end)
        return 0;
    if (++sweep->calls > CALLS_MAX)
        return -EPERM;
    err = sweep->unmap(sweep->arg, start, end);
    /* EINVAL: a mapping of the kernel's goes as a whole, and beside it something is sealed. */
    if (err != -EPERM && err != -EINVAL)
        return err;
    if (end - start == page) {
        if (err == -EPERM)
            note_vdso(sweep, start);
        return keep(&sweep->platform->info, start);
    }
    err = sweep_range(sweep, start, middle);
    return err ? err : sweep_range(sweep, middle, end);
}

int sweep_all(struct tg_platform *platform, uint64_t start, uint64_t end, sweep_call *unmap, void *arg)
{
    struct sweep sweep = {.platform = platform, .unmap = unmap, .arg = arg};
    int err = sweep_range(&sweep, 0, start);

    if (!err)
        err = sweep_range(&sweep, end, platform->user_space.end);
    /* It was sealed and could not be moved, so it is there for every guest anyway. */
    if (!err && sweep.vdso_pages == 2 && !platform->info.vdso) {
        platform->info.vdso = platform->host_vdso;
        platform->info.vdso_kind = TG_VDSO_HOST;
    }
    return err;
}
