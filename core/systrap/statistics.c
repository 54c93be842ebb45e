/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The workers' own numbers. A guest can write them, so nothing depends on them. */
#include "core/systrap/systrap_backend.h"

static void add_workers(const struct systrap_subprocess *subprocess, uint64_t *spins, uint64_t *sleeps)
{
    uint32_t n = atomic_load(&subprocess->worker_count);

    for (uint32_t i = 0; i < n; i++) {
        const struct systrap_worker *worker = worker_of(subprocess, i);

        *spins += __atomic_load_n(&worker->spins, __ATOMIC_RELAXED);
        *sleeps += __atomic_load_n(&worker->sleeps, __ATOMIC_RELAXED);
    }
}

void systrap_add_stub_numbers(const struct tg_platform *platform, uint64_t *spins, uint64_t *sleeps)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&platform->lock;
    struct list *node;

    pthread_mutex_lock(lock);
    list_for_each(node, &platform->subprocesses)
    {
        add_workers(to_systrap_subprocess(container_of(node, struct tg_subprocess, node)), spins, sleeps);
    }
    pthread_mutex_unlock(lock);
}

void statistics_keep(struct systrap_subprocess *subprocess)
{
    uint64_t spins = 0;
    uint64_t sleeps = 0;

    add_workers(subprocess, &spins, &sleeps);
    count_many(subprocess->base.platform, COUNTER_STUB_SPINS, spins);
    count_many(subprocess->base.platform, COUNTER_STUB_SLEEPS, sleeps);
}
