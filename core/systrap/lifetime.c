/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the record of a subprocess has in it. */
#include <stdlib.h>

#include "core/clock.h"
#include "core/systrap/lifetime.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/stub_memory.h"

static void init_recursive(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

int systrap_subprocess_init(struct systrap_subprocess *subprocess, const char **call)
{
    int err;

    subprocess->pidfd = -1;
    subprocess->file = -1;
    subprocess->window_file = -1;
    list_init(&subprocess->kept);
    list_init(&subprocess->grant_node);
    err = stub_memory_create(subprocess, call);
    if (err)
        return err;
    subprocess->made_at = clock_monotonic_ns();
    subprocess->id = atomic_fetch_add(&systrap_platform(subprocess->base.platform)->next_id, 1);
    patches_init(subprocess);
    init_recursive(&subprocess->order_lock);
    pthread_mutex_init(&subprocess->lock, NULL);
    return 0;
}

void systrap_subprocess_empty(struct tg_subprocess *base)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);

    stub_memory_destroy(subprocess);
    patches_destroy(&subprocess->patches);
    pthread_mutex_destroy(&subprocess->order_lock);
    pthread_mutex_destroy(&subprocess->lock);
    free(subprocess->slot_contexts);
    free(subprocess->free_slots);
}
