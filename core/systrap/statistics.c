/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How long handoffs take, and the workers' own numbers. A guest can write what
 * workers say, so nothing depends on it.
 */
#include "core/systrap/statistics.h"
#include "core/clock.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_words.h"

#define CLOCK_TRIES 8

/* ---- handoffs ---- */

/* Both clocks at the same moment, or as near to it as some tries come. */
struct clock_pair statistics_read_clocks(void)
{
    struct clock_pair best = {0};
    uint64_t best_took = UINT64_MAX;

    for (int i = 0; i < CLOCK_TRIES; i++) {
        uint64_t before = tgi_arch_systrap->ticks();
        int64_t ns = clock_monotonic_ns();
        uint64_t took = tgi_arch_systrap->ticks() - before;

        if (took < best_took) {
            best = (struct clock_pair){.ns = ns, .ticks = before + took / 2};
            best_took = took;
        }
    }
    return best;
}

void statistics_learn_ticks(struct systrap_platform *sp, const struct clock_pair *before)
{
    const struct clock_pair now = statistics_read_clocks();

    if (now.ticks > before->ticks && now.ns > before->ns)
        sp->tick_ns = (uint64_t)(((unsigned __int128)(now.ns - before->ns) << 32) / (now.ticks - before->ticks));
}

void statistics_note_given(struct systrap_context *context)
{
    if (!systrap_platform(context->base.platform)->tick_ns)
        return;
    context->slot->first |= FIRST_TIME;
    context->given_at = tgi_arch_systrap->ticks();
}

/* A guest may have written the ticks, or the clock of the worker's processor may be a little off. */
static uint64_t clamp(uint64_t ticks, uint64_t least, uint64_t most)
{
    if (ticks < least)
        return least;
    return ticks > most ? most : ticks;
}

static void count_ticks(struct tg_platform *platform, enum counter histogram, uint64_t ticks)
{
    unsigned __int128 ns = (unsigned __int128)ticks * systrap_platform(platform)->tick_ns >> 32;

    count_latency(platform, histogram, ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns);
}

/* Whatever the slot says, the two together are no longer than the time since the context was given away. */
void statistics_count_handoffs(struct systrap_context *context)
{
    const struct systrap_slot *slot = context->slot;
    uint64_t given_at = context->given_at;
    uint64_t back_at = clamp(tgi_arch_systrap->ticks(), given_at, UINT64_MAX);
    uint64_t taken_at = clamp(SHARED_LOAD(slot->taken_at), given_at, back_at);
    uint64_t left_at = clamp(SHARED_LOAD(slot->left_at), taken_at, back_at);

    if (!systrap_platform(context->base.platform)->tick_ns)
        return;
    count_ticks(context->base.platform, COUNTER_RESUME_LATENCY, taken_at - given_at);
    count_ticks(context->base.platform, COUNTER_EVENT_LATENCY, back_at - left_at);
}

/* ---- what workers say ---- */

/* A worker answers no more than a call each nanosecond, whatever its guest has written. */
static uint64_t answered_by(const struct systrap_worker *worker, int64_t lived)
{
    return clamp(__atomic_load_n(&worker->answered, __ATOMIC_RELAXED), 0, (uint64_t)lived);
}

static void add_workers(const struct systrap_subprocess *subprocess, uint64_t numbers[COUNTERS])
{
    const int64_t lived = clock_monotonic_ns() - subprocess->made_at;
    uint32_t n = atomic_load(&subprocess->worker_count);

    for (uint32_t i = 0; i < n; i++) {
        const struct systrap_worker *worker = worker_of(subprocess, i);

        numbers[COUNTER_STUB_SPINS] += __atomic_load_n(&worker->spins, __ATOMIC_RELAXED);
        numbers[COUNTER_STUB_SLEEPS] += __atomic_load_n(&worker->sleeps, __ATOMIC_RELAXED);
        numbers[COUNTER_ANSWERED_CALLS] += answered_by(worker, lived);
    }
}

void systrap_add_stub_numbers(const struct tg_platform *platform, uint64_t numbers[COUNTERS])
{
    struct tg_platform *locked = (struct tg_platform *)(uintptr_t)platform;
    struct list *node;

    platform_lock(locked);
    list_for_each(node, &platform->subprocesses)
    {
        add_workers(to_systrap_subprocess(container_of(node, struct tg_subprocess, node)), numbers);
    }
    platform_unlock(locked);
}

void statistics_keep(struct systrap_subprocess *subprocess)
{
    uint64_t numbers[COUNTERS] = {0};

    add_workers(subprocess, numbers);
    count_many(subprocess->base.platform, COUNTER_STUB_SPINS, numbers[COUNTER_STUB_SPINS]);
    count_many(subprocess->base.platform, COUNTER_STUB_SLEEPS, numbers[COUNTER_STUB_SLEEPS]);
    count_many(subprocess->base.platform, COUNTER_ANSWERED_CALLS, numbers[COUNTER_ANSWERED_CALLS]);
}
