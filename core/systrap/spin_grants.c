/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/spin_grants.h"

#include "core/clock.h"
#include "core/subprocess_life.h"
#include "core/systrap/shared_words.h"

#define TURN_NS (NS_PER_SECOND / 100) /* for so long nobody else gets a grant that was given */

void spin_grants_init(struct systrap_platform *sp)
{
    pthread_mutex_init(&sp->grants_lock, NULL);
    list_init(&sp->grant_holders);
}

void spin_grants_destroy(struct systrap_platform *sp)
{
    pthread_mutex_destroy(&sp->grants_lock);
}

static void set_number(struct systrap_subprocess *subprocess, uint32_t n)
{
    atomic_store(&subprocess->spin_grants, n);
    SHARED_STORE(config_of(subprocess)->spinners, (uint16_t)n);
}

static void tell(struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    SHARED_STORE(config_of(subprocess)->spin_pauses, atomic_load(&sp->spin_pauses));
}

/* Those without a grant hear of it when they ask. */
void spin_grants_tell(struct systrap_platform *sp)
{
    struct list *node;

    list_for_each(node, &sp->grant_holders) tell(container_of(node, struct systrap_subprocess, grant_node));
}

/* All that its workers can use, as far as there are so many. */
static bool has_enough(const struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    const uint32_t max = atomic_load(&sp->spin_ns) ? sp->grants_max : 0;
    const uint32_t workers = atomic_load(&subprocess->worker_count);

    return atomic_load(&subprocess->spin_grants) >= (workers < max ? workers : max);
}

static bool was_told(const struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    return SHARED_LOAD(config_of(subprocess)->spin_pauses) == atomic_load(&sp->spin_pauses);
}

static void take_away(struct systrap_subprocess *holder, uint32_t n)
{
    struct systrap_platform *sp = systrap_platform(holder->base.platform);

    set_number(holder, atomic_load(&holder->spin_grants) - n);
    sp->grants_given -= n;
    if (!atomic_load(&holder->spin_grants))
        list_remove(&holder->grant_node);
}

/* False: all are given, and for too short a time. */
static bool make_room(struct systrap_platform *sp, const struct systrap_subprocess *asking, int64_t now)
{
    struct systrap_subprocess *oldest;

    if (sp->grants_given < sp->grants_max)
        return true;
    if (list_empty(&sp->grant_holders))
        return false;
    oldest = container_of(sp->grant_holders.next, struct systrap_subprocess, grant_node);
    if (oldest == asking || now - oldest->granted_at < TURN_NS)
        return false;
    take_away(oldest, 1);
    return true;
}

/* The newest holder is the last of the list. */
static void grant(struct systrap_subprocess *subprocess, int64_t now)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    if (atomic_load(&subprocess->spin_grants))
        list_remove(&subprocess->grant_node);
    list_add_last(&sp->grant_holders, &subprocess->grant_node);
    subprocess->granted_at = now;
    sp->grants_given++;
    set_number(subprocess, atomic_load(&subprocess->spin_grants) + 1);
}

void spin_grants_ask(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    int64_t now;

    /* Whoever else has the lock asks too: this one does so again when a worker has slept again. */
    if ((has_enough(subprocess) && was_told(subprocess)) || pthread_mutex_trylock(&sp->grants_lock))
        return;
    if (!subprocess_is_shut(&subprocess->base)) {
        tell(subprocess);
        now = clock_monotonic_ns();
        if (!has_enough(subprocess) && make_room(sp, subprocess, now))
            grant(subprocess, now);
    }
    pthread_mutex_unlock(&sp->grants_lock);
}

void spin_grants_give_back(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    pthread_mutex_lock(&sp->grants_lock);
    if (atomic_load(&subprocess->spin_grants))
        take_away(subprocess, atomic_load(&subprocess->spin_grants));
    pthread_mutex_unlock(&sp->grants_lock);
}
