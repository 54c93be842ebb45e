/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "stats_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/sandbox.h"
#include "syscall_names.h"

struct row {
    uint32_t nr;
    bool known;
    struct syscall_counter counter;
};

static int by_calls(const void *a, const void *b)
{
    const struct row *left = a, *right = b;

    if (left->counter.calls != right->counter.calls)
        return left->counter.calls < right->counter.calls ? 1 : -1;
    return left->nr < right->nr ? -1 : 1;
}

static size_t collect(const struct sandbox *sandbox, struct row rows[SYSCALL_NR_MAX])
{
    size_t count = 0;

    for (uint32_t nr = 0; nr < SYSCALL_NR_MAX; nr++)
        if (sandbox->counters.calls[nr].calls)
            rows[count++] = (struct row){nr, sandbox->table.entries[nr].handler != NULL, sandbox->counters.calls[nr]};
    qsort(rows, count, sizeof(rows[0]), by_calls);
    return count;
}

static uint64_t per_call(uint64_t ns, uint64_t calls)
{
    return calls ? ns / calls : 0;
}

static void print_row(const struct row *row)
{
    const char *name = syscall_name(row->nr);

    fprintf(stderr, "%10" PRIu64 " %8" PRIu64 " %10" PRIu64 "  ", row->counter.calls, row->counter.errors,
            per_call(row->counter.handler_ns, row->counter.calls));
    if (name)
        fprintf(stderr, "%s", name);
    else
        fprintf(stderr, "call %u", row->nr);
    fprintf(stderr, "%s\n", row->known ? "" : " (unknown: ENOSYS)");
}

static void print_fact(const char *name, uint64_t value)
{
    fprintf(stderr, "%-40s %14" PRIu64 "\n", name, value);
}

static void print_platform_facts(const tg_stats *stats)
{
    print_fact("switches", stats->switches);
    print_fact("calls through patched sites", stats->patched_calls);
    print_fact("other calls", stats->unpatched_calls);
    print_fact("calls answered in stubs (they say)", stats->answered_calls);
    print_fact("copies by stubs", stats->worker_copies);
    print_fact("sites patched with what is before", stats->patch_sites_before);
    print_fact("sites patched with what is behind", stats->patch_sites_after);
    print_fact("calls injected into stubs", stats->injections);
    print_fact("FP states read from stubs", stats->fpstate_saves);
    print_fact("FP states written to stubs", stats->fpstate_loads);
    print_fact("stub threads placed", stats->placements);
    print_fact("contexts preempted for others", stats->preemptions);
    print_fact("spins in vain", stats->failed_spins);
    print_fact("sleeps", stats->futex_sleeps);
    print_fact("stub threads woken", stats->futex_wakes);
    print_fact("spins of stub threads (they say)", stats->stub_spins);
    print_fact("sleeps of stub threads (they say)", stats->stub_sleeps);
}

static const char *const refusals[TG_PATCH_REFUSALS] = {
    [TG_PATCH_REFUSED_OTHER] = "no memory, or the stub died",
    [TG_PATCH_REFUSED_NO_SYSCALL] = "no system call any more",
    [TG_PATCH_REFUSED_SIGNAL_RETURN] = "signal return",
    [TG_PATCH_REFUSED_UNREADABLE] = "bytes that cannot be read",
    [TG_PATCH_REFUSED_NO_MOV] = "no mov before it",
    [TG_PATCH_REFUSED_DECOY] = "the mov may be none",
    [TG_PATCH_REFUSED_PAGE_EDGE] = "two pages",
    [TG_PATCH_REFUSED_UNDECODABLE] = "nothing behind it",
    [TG_PATCH_REFUSED_RELATIVE] = "a jump beside it",
    [TG_PATCH_REFUSED_MEMORY] = "memory used beside it",
    [TG_PATCH_REFUSED_REGISTER] = "a register used beside it",
    [TG_PATCH_REFUSED_UNLISTED] = "a rare neighbour",
    [TG_PATCH_REFUSED_NO_ROOM] = "no room",
    [TG_PATCH_REFUSED_MAPPING] = "writable or shared code",
    [TG_PATCH_REFUSED_FULL] = "too many sites",
    [TG_PATCH_REFUSED_CHANGES] = "code that changes often",
};

static void print_refusals(const tg_stats *stats)
{
    char name[64];

    for (size_t i = 0; i < TG_PATCH_REFUSALS; i++) {
        if (!stats->patch_refusals[i])
            continue;
        snprintf(name, sizeof(name), "not patched: %s", refusals[i] ? refusals[i] : "of no known reason");
        print_fact(name, stats->patch_refusals[i]);
    }
}

static void print_latency(const char *what, const uint64_t histogram[TG_LATENCY_BUCKETS])
{
    char name[64];

    for (size_t i = 0; i < TG_LATENCY_BUCKETS; i++) {
        if (!histogram[i])
            continue;
        snprintf(name, sizeof(name), "%s %" PRIu64 " ns and more", what, UINT64_C(1) << i);
        print_fact(name, histogram[i]);
    }
}

static void print_facts(const struct sandbox *sandbox, const struct syscall_counter *total)
{
    const struct sandbox_counters *counters = &sandbox->counters;
    tg_stats stats = {.size = sizeof(stats)};

    print_fact("calls served", total->calls);
    print_fact("unknown calls (ENOSYS)", counters->unknown_calls + counters->other_calls);
    print_fact("calls that waited", counters->waits);
    print_fact("faults", counters->faults);
    print_fact("other exceptions", counters->exceptions);
    print_fact("signals delivered to handlers", counters->signals);
    print_fact("ns per call, all included", per_call(counters->wall_ns, total->calls));
    print_fact("ns per call, in the kernel's code", per_call(total->handler_ns, total->calls));
    print_fact("wall clock, ns", counters->wall_ns);
    if (tg_platform_stats(sandbox->platform, &stats) != 0)
        return;
    print_platform_facts(&stats);
    print_refusals(&stats);
    print_latency("switches of", stats.switch_latency);
    print_latency("stubs went on after", stats.resume_latency);
    print_latency("events taken after", stats.event_latency);
}

void stats_table_print(const struct sandbox *sandbox)
{
    struct row rows[SYSCALL_NR_MAX];
    struct syscall_counter total = {0};
    size_t count = collect(sandbox, rows);

    fprintf(stderr, "%10s %8s %10s  %s\n", "calls", "errors", "ns/call", "name");
    for (size_t i = 0; i < count; i++) {
        print_row(&rows[i]);
        total.calls += rows[i].counter.calls;
        total.errors += rows[i].counter.errors;
        total.handler_ns += rows[i].counter.handler_ns;
    }
    fprintf(stderr, "%10" PRIu64 " %8" PRIu64 " %10" PRIu64 "  total\n\n", total.calls, total.errors,
            per_call(total.handler_ns, total.calls));
    print_facts(sandbox, &total);
}
