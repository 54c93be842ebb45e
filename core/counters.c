/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The numbers of tg_stats, and what follows from others. */
#include <string.h>

#include "core/backend.h"

/* Patched calls are what is left: the fast path counts one number. Not read at once, so the sum may be off by some. */
static void divide_calls(const struct tg_platform *platform, uint64_t numbers[COUNTERS])
{
    uint64_t all = numbers[COUNTER_SYSCALLS];
    uint64_t *unpatched = &numbers[COUNTER_UNPATCHED_CALLS];

    if (!(platform->info.capabilities & TG_CAP_PATCHING) || *unpatched > all)
        *unpatched = all;
    numbers[COUNTER_PATCHED_CALLS] = all - *unpatched;
}

/* What contexts have counted that are gone is in the platform's numbers already. */
static void add_contexts(struct tg_platform *platform, uint64_t numbers[COUNTERS])
{
    const struct list *node;

    platform_lock(platform);
    for (size_t i = 0; i < CONTEXT_COUNTERS; i++)
        numbers[context_counters[i]] = atomic_load(&platform->counters[context_counters[i]]);
    list_for_each(node, &platform->contexts)
    {
        const struct tg_context *context = container_of(node, struct tg_context, node);

        for (size_t i = 0; i < CONTEXT_COUNTERS; i++)
            numbers[context_counters[i]] += context_counted(context, i);
    }
    platform_unlock(platform);
}

void platform_stats(const struct tg_platform *platform, struct tg_stats *out)
{
    uint64_t numbers[COUNTERS];

    for (size_t i = 0; i < COUNTERS; i++)
        numbers[i] = atomic_load_explicit(&platform->counters[i], memory_order_relaxed);
    add_contexts((struct tg_platform *)(uintptr_t)platform, numbers);
    divide_calls(platform, numbers);
    numbers[COUNTER_PATCH_SITES] = numbers[COUNTER_PATCH_SITES_BEFORE] + numbers[COUNTER_PATCH_SITES_AFTER];
    if (platform->ops->add_stub_numbers)
        platform->ops->add_stub_numbers(platform, numbers);
    memset(out, 0, sizeof(*out));
    out->size = sizeof(*out);
    memcpy((char *)out + COUNTERS_START, numbers, sizeof(numbers));
}
