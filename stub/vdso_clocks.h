/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the library's own vDSO and the library agree on: a page of clocks right
 * below the vDSO's first one, which guests can only read. One line of the cache
 * for each number that clock_gettime(2) may be asked for.
 *
 * The library writes a clock while changes is odd, and whoever reads looks at
 * that before and after (vdso_reader.h). The counter is read between the two
 * looks: so while changes is odd nobody has read more of the old time than the
 * counter says at that moment.
 */
#ifndef STUB_VDSO_CLOCKS_H
#define STUB_VDSO_CLOCKS_H

#include <stdint.h>

#define VDSO_CLOCKS 16 /* TG_CLOCKS */
#define VDSO_CALL   0  /* TG_CLOCK_CALL */
#define VDSO_TIME   1  /* TG_CLOCK_TIME */

#define VDSO_NS_PER_SECOND 1000000000u

struct vdso_line {
    uint64_t base_counter;
    uint64_t base_ns;
    uint64_t multiplier; /* ns of a tick, in 2^-32; 0: the counter is not read */
    uint64_t floor_ns;   /* it is never earlier than that */
};

struct vdso_clock {
    uint32_t changes; /* odd while the library changes the clock */
    uint32_t kind;    /* VDSO_* */
    struct vdso_line line;
    /* base_ns once more: a reader soon after it need not divide. */
    uint64_t base_seconds;
    uint64_t base_rest;
    uint64_t pad;
};

_Static_assert(sizeof(struct vdso_clock) == 64, "a clock has a line of its own");

/* Since base_ns. */
static inline uint64_t vdso_line_since(const struct vdso_line *line, uint64_t counter)
{
    const uint64_t ticks = counter > line->base_counter ? counter - line->base_counter : 0;

    return (uint64_t)((unsigned __int128)ticks * line->multiplier >> 32);
}

static inline uint64_t vdso_line_at(const struct vdso_line *line, uint64_t counter)
{
    const uint64_t ns = line->base_ns + vdso_line_since(line, counter);

    return ns > line->floor_ns ? ns : line->floor_ns;
}

#endif
