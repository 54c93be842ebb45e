/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The numbers of tg_stats: where each is, and what follows from others. */
#include <stddef.h>
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

/* Where each counter is in tg_stats, and how many there are in a row. */
#define FIELD(counter, field)                                                                                          \
    {                                                                                                                  \
        counter, sizeof(((struct tg_stats *)0)->field) / sizeof(uint64_t), offsetof(struct tg_stats, field)            \
    }

static const struct stats_field {
    uint32_t counter;
    uint32_t count;
    size_t offset;
} stats_fields[] = {
    FIELD(COUNTER_SUBPROCESSES, subprocesses),
    FIELD(COUNTER_STUB_THREADS, stub_threads),
    FIELD(COUNTER_CONTEXTS, contexts),
    FIELD(COUNTER_SWITCHES, switches),
    FIELD(COUNTER_SYSCALLS, syscalls),
    FIELD(COUNTER_FAULTS, faults),
    FIELD(COUNTER_EXCEPTIONS, exceptions),
    FIELD(COUNTER_INTERRUPTS, interrupts),
    FIELD(COUNTER_DEATHS, deaths),
    FIELD(COUNTER_INJECTIONS, injections),
    FIELD(COUNTER_FPSTATE_SAVES, fpstate_saves),
    FIELD(COUNTER_FPSTATE_LOADS, fpstate_loads),
    FIELD(COUNTER_PLACEMENTS, placements),
    FIELD(COUNTER_RELEASES, releases),
    FIELD(COUNTER_PREEMPTIONS, preemptions),
    FIELD(COUNTER_SPURIOUS_STOPS, spurious_stops),
    FIELD(COUNTER_PATCHED_CALLS, patched_calls),
    FIELD(COUNTER_UNPATCHED_CALLS, unpatched_calls),
    FIELD(COUNTER_PATCH_SITES, patch_sites),
    FIELD(COUNTER_PATCH_SITES_BEFORE, patch_sites_before),
    FIELD(COUNTER_PATCH_SITES_AFTER, patch_sites_after),
    FIELD(COUNTER_PATCH_REFUSALS, patch_refusals),
    FIELD(COUNTER_FAILED_SPINS, failed_spins),
    FIELD(COUNTER_FUTEX_SLEEPS, futex_sleeps),
    FIELD(COUNTER_FUTEX_WAKES, futex_wakes),
    FIELD(COUNTER_STUB_SPINS, stub_spins),
    FIELD(COUNTER_STUB_SLEEPS, stub_sleeps),
    FIELD(COUNTER_SWITCH_LATENCY, switch_latency),
    FIELD(COUNTER_RESUME_LATENCY, resume_latency),
    FIELD(COUNTER_EVENT_LATENCY, event_latency),
};

_Static_assert(COUNTERS * sizeof(uint64_t) == sizeof(struct tg_stats) - offsetof(struct tg_stats, subprocesses),
               "each number has a counter");

static void copy_numbers(struct tg_stats *out, const uint64_t numbers[COUNTERS])
{
    for (size_t i = 0; i < sizeof(stats_fields) / sizeof(stats_fields[0]); i++) {
        const struct stats_field *field = &stats_fields[i];

        memcpy((char *)out + field->offset, &numbers[field->counter], field->count * sizeof(*numbers));
    }
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
        platform->ops->add_stub_numbers(platform, &numbers[COUNTER_STUB_SPINS], &numbers[COUNTER_STUB_SLEEPS]);
    memset(out, 0, sizeof(*out));
    out->size = sizeof(*out);
    copy_numbers(out, numbers);
}
