/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/workers_end.h"
#include "core/clock.h"
#include "core/subprocess_life.h"
#include "core/systrap/child.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/statistics.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/workers.h"

void workers_ask_to_end(struct systrap_subprocess *subprocess)
{
    /* Pairs with is_to_end() of the worker, which looks at this once it counts as asleep. */
    SHARED_SWAP(config_of(subprocess)->leave, 1);
}

static bool wait_for_end(struct systrap_subprocess *subprocess, pid_t thread, struct watchdog_wait *wait)
{
    for (unsigned int i = 0; child_has_thread(subprocess, thread); i++) {
        if (subprocess_is_dead(&subprocess->base) || watchdog_waits_in_vain(subprocess, wait, WATCHDOG_OPERATION))
            return false;
        clock_pause_between_looks(i);
    }
    return true;
}

/* What they say of themselves counts for the platform; who adds that up meanwhile finds it in one of the two. */
static void forget(struct systrap_subprocess *subprocess, uint32_t n)
{
    struct tg_platform *platform = subprocess->base.platform;

    platform_lock(platform);
    statistics_keep(subprocess);
    atomic_store(&subprocess->worker_count, 0);
    platform_unlock(platform);
    while (n--)
        uncount(platform, COUNTER_STUB_THREADS);
}

bool workers_end(struct systrap_subprocess *subprocess)
{
    const uint32_t n = atomic_load(&subprocess->worker_count);
    struct watchdog_wait wait = {.look_at = 0};

    for (uint32_t i = 0; i < n; i++)
        worker_wake(subprocess, i);
    for (uint32_t i = 0; i < n; i++) {
        if (!wait_for_end(subprocess, subprocess->workers[i], &wait))
            return false;
    }
    forget(subprocess, n);
    SHARED_STORE(config_of(subprocess)->leave, 0);
    return !subprocess_is_dead(&subprocess->base);
}
