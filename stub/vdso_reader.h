/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a clock of vdso_clocks.h is read, in the library's own vDSO. */
#ifndef STUB_VDSO_READER_H
#define STUB_VDSO_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "vdso_clocks.h"
#include "vdso_counter.h" /* the architecture's */

/* A change takes some nanoseconds. If whoever makes one is stopped in the middle, guests make the call. */
#define VDSO_LOOKS           4096
/* So many seconds behind base_ns are sooner counted than divided. */
#define VDSO_SECONDS_COUNTED 4

enum vdso_found { VDSO_FOUND_CALL, VDSO_FOUND_TIME, VDSO_FOUND_CHANGE };

/* By value: what is in registers comes sooner than through memory. */
struct vdso_moment {
    enum vdso_found found;
    uint64_t seconds;
    uint64_t rest; /* ns */
};

/* Has nobody changed it since the number was that? after: 0, known when the counter has been read. */
static inline bool vdso_unchanged(const struct vdso_clock *clock, uint32_t before, uint64_t after)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(before & 1) && __atomic_load_n(&clock->changes + after, __ATOMIC_RELAXED) == before;
}

/* base_ns and what has gone by since, where that is not much and nothing holds the clock up. */
static inline void vdso_count(struct vdso_moment *moment, const struct vdso_line *line, uint64_t since)
{
    uint64_t ns = line->base_ns + since;

    moment->rest += since;
    if (__builtin_expect(ns < line->floor_ns || since >= (uint64_t)VDSO_SECONDS_COUNTED * VDSO_NS_PER_SECOND, 0)) {
        ns = ns < line->floor_ns ? line->floor_ns : ns;
        moment->seconds = ns / VDSO_NS_PER_SECOND;
        moment->rest = ns % VDSO_NS_PER_SECOND;
    }
    while (moment->rest >= VDSO_NS_PER_SECOND) {
        moment->rest -= VDSO_NS_PER_SECOND;
        moment->seconds++;
        /* No division in its place. */
        __asm__ volatile("" : "+r"(moment->rest));
    }
}

/* The second look comes when the counter has been read. */
static inline struct vdso_moment vdso_try_read(const struct vdso_clock *clock)
{
    const uint32_t before = __atomic_load_n(&clock->changes, __ATOMIC_ACQUIRE);
    const uint32_t kind = __atomic_load_n(&clock->kind, __ATOMIC_RELAXED);
    const struct vdso_line line = {
        .base_counter = __atomic_load_n(&clock->line.base_counter, __ATOMIC_RELAXED),
        .base_ns = __atomic_load_n(&clock->line.base_ns, __ATOMIC_RELAXED),
        .multiplier = __atomic_load_n(&clock->line.multiplier, __ATOMIC_RELAXED),
        .floor_ns = __atomic_load_n(&clock->line.floor_ns, __ATOMIC_RELAXED),
    };
    struct vdso_moment moment = {
        .found = kind == VDSO_TIME ? VDSO_FOUND_TIME : VDSO_FOUND_CALL,
        .seconds = __atomic_load_n(&clock->base_seconds, __ATOMIC_RELAXED),
        .rest = __atomic_load_n(&clock->base_rest, __ATOMIC_RELAXED),
    };
    uint64_t counter = 0;

    if (kind == VDSO_TIME && line.multiplier)
        counter = vdso_counter();
    if (vdso_unchanged(clock, before, vdso_zero_after(counter)))
        vdso_count(&moment, &line, vdso_line_since(&line, counter));
    else
        moment.found = VDSO_FOUND_CHANGE;
    return moment;
}

/* Out of the way of who finds the clock as it is. */
__attribute__((noinline, cold, unused)) static struct vdso_moment vdso_read_again(const struct vdso_clock *clock)
{
    for (int look = 0; look < VDSO_LOOKS; look++) {
        const struct vdso_moment moment = vdso_try_read(clock);

        if (moment.found != VDSO_FOUND_CHANGE)
            return moment;
        vdso_pause();
    }
    return (struct vdso_moment){.found = VDSO_FOUND_CALL};
}

/* False: the time is to be had by the call. */
static inline bool vdso_read(const struct vdso_clock *clock, struct vdso_moment *out)
{
    struct vdso_moment moment = vdso_try_read(clock);

    if (__builtin_expect(moment.found == VDSO_FOUND_CHANGE, 0))
        moment = vdso_read_again(clock);
    *out = moment;
    return moment.found == VDSO_FOUND_TIME;
}

#endif
