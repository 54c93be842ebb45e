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
