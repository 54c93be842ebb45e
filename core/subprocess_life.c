/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdlib.h>

#include "core/backend.h"
#include "core/bring_table.h"
#include "core/subprocess_life.h"

struct tg_subprocess *subprocess_new(struct tg_platform *platform)
{
    struct tg_subprocess *subprocess = calloc(1, platform->ops->subprocess_size);

    if (!subprocess)
        return NULL;
    subprocess->platform = platform;
    mapping_table_init(&subprocess->mappings);
    atomic_store(&subprocess->refs, 1);
    return subprocess;
}

void subprocess_free(struct tg_subprocess *subprocess)
{
    bring_table_free(atomic_load(&subprocess->brings));
    mapping_table_destroy(&subprocess->mappings);
    free(subprocess);
}

void subprocess_hold(struct tg_subprocess *subprocess)
{
    atomic_fetch_add(&subprocess->refs, 1);
}

void subprocess_release(struct tg_subprocess *subprocess)
{
    if (atomic_fetch_sub(&subprocess->refs, 1) != 1)
        return;
    subprocess->platform->ops->subprocess_empty(subprocess);
    subprocess_free(subprocess);
}

bool subprocess_begin_death(struct tg_subprocess *subprocess, int32_t reason, int32_t status)
{
    uint32_t alive = SUBPROCESS_ALIVE;

    if (!atomic_compare_exchange_strong(&subprocess->death, &alive, SUBPROCESS_DYING))
        return false;
    subprocess->death_reason = reason;
    subprocess->death_status = status;
    return true;
}

static void note_death(struct tg_platform *platform, int32_t reason, int32_t status)
{
    atomic_store(&platform->last_status, status);
    atomic_store(&platform->last_reason, reason);
    count(platform, COUNTER_DEATHS);
}

void subprocess_end_death(struct tg_subprocess *subprocess)
{
    if (subprocess->death_reason != TG_DEAD_DESTROYED)
        note_death(subprocess->platform, subprocess->death_reason, subprocess->death_status);
    atomic_store(&subprocess->death, SUBPROCESS_DEAD);
}
