/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/clocks_inherit.h"
#include "core/backend.h"
#include "stub/vdso_clocks.h"

/* Pages of clocks that nobody has set stay without memory. */
void clocks_inherit(struct tg_subprocess *child, struct tg_subprocess *mother)
{
    struct tg_platform *platform = child->platform;
    struct vdso_clock *to;
    const struct vdso_clock *from;

    if (platform->info.vdso_kind != TG_VDSO_OWN || !mother)
        return;
    to = platform->ops->subprocess_clocks(child);
    from = platform->ops->subprocess_clocks(mother);
    pthread_mutex_lock(&platform->clocks_lock);
    for (uint32_t i = 0; i < TG_CLOCKS; i++)
        if (from[i].kind == VDSO_TIME)
            to[i] = from[i];
    pthread_mutex_unlock(&platform->clocks_lock);
}

void clocks_forget(struct tg_subprocess *subprocess)
{
    struct tg_platform *platform = subprocess->platform;
    struct vdso_clock *clocks;

    if (platform->info.vdso_kind != TG_VDSO_OWN)
        return;
    clocks = platform->ops->subprocess_clocks(subprocess);
    pthread_mutex_lock(&platform->clocks_lock);
    for (uint32_t i = 0; i < TG_CLOCKS; i++)
        if (clocks[i].changes || clocks[i].kind != VDSO_CALL)
            clocks[i] = (struct vdso_clock){.kind = VDSO_CALL};
    pthread_mutex_unlock(&platform->clocks_lock);
}
