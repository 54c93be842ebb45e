/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a platform counts. */
#ifndef CORE_COUNTERS_H
#define CORE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

/*
 * A counter is the place of its number in tg_stats, as the header has it: no
 * order is written here a second time, and none can differ from that one.
 */
#define COUNTERS_START  offsetof(struct tg_stats, subprocesses)
#define COUNTER(member) ((offsetof(struct tg_stats, member) - COUNTERS_START) / sizeof(uint64_t))

enum counter {
    COUNTER_SUBPROCESSES = COUNTER(subprocesses),
    COUNTER_STUB_THREADS = COUNTER(stub_threads),
    COUNTER_CONTEXTS = COUNTER(contexts),
    COUNTER_SWITCHES = COUNTER(switches),
    COUNTER_SYSCALLS = COUNTER(syscalls),
    COUNTER_FAULTS = COUNTER(faults),
    COUNTER_EXCEPTIONS = COUNTER(exceptions),
    COUNTER_INTERRUPTS = COUNTER(interrupts),
    COUNTER_DEATHS = COUNTER(deaths),
    COUNTER_INJECTIONS = COUNTER(injections),
    COUNTER_FPSTATE_SAVES = COUNTER(fpstate_saves),
    COUNTER_FPSTATE_LOADS = COUNTER(fpstate_loads),
    COUNTER_PLACEMENTS = COUNTER(placements),
    COUNTER_RELEASES = COUNTER(releases),
    COUNTER_PREEMPTIONS = COUNTER(preemptions),
    COUNTER_SPURIOUS_STOPS = COUNTER(spurious_stops),
    COUNTER_PATCHED_CALLS = COUNTER(patched_calls), /* follows from others: platform_stats() */
    COUNTER_UNPATCHED_CALLS = COUNTER(unpatched_calls),
    COUNTER_PATCH_SITES = COUNTER(patch_sites), /* the same */
    COUNTER_PATCH_SITES_BEFORE = COUNTER(patch_sites_before),
    COUNTER_PATCH_SITES_AFTER = COUNTER(patch_sites_after),
    COUNTER_PATCH_REFUSALS = COUNTER(patch_refusals), /* and TG_PATCH_REFUSED_* */
    COUNTER_FAILED_SPINS = COUNTER(failed_spins),
    COUNTER_FUTEX_SLEEPS = COUNTER(futex_sleeps),
    COUNTER_FUTEX_WAKES = COUNTER(futex_wakes),
    COUNTER_STUB_SPINS = COUNTER(stub_spins),         /* of subprocesses that are gone; the backend adds the others */
    COUNTER_STUB_SLEEPS = COUNTER(stub_sleeps),       /* the same */
    COUNTER_SWITCH_LATENCY = COUNTER(switch_latency), /* and the bucket: count_latency() */
    COUNTER_RESUME_LATENCY = COUNTER(resume_latency), /* the same */
    COUNTER_EVENT_LATENCY = COUNTER(event_latency),   /* the same */
    COUNTER_WORKER_COPIES = COUNTER(worker_copies),
    COUNTER_ANSWERED_CALLS = COUNTER(answered_calls), /* as stub_spins */
    COUNTERS = (sizeof(struct tg_stats) - COUNTERS_START) / sizeof(uint64_t)
};

#undef COUNTER

void platform_stats(const struct tg_platform *platform, struct tg_stats *out);

#endif
