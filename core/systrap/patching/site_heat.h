/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Heat: how often calls came from one place without being patched, and how
 * often they have to for a look at the site. The map is small, two sites may
 * take turns in a place.
 *
 * Plain data: whoever calls holds the patches' lock.
 */
#ifndef CORE_SYSTRAP_PATCHING_SITE_HEAT_H
#define CORE_SYSTRAP_PATCHING_SITE_HEAT_H

#include "core/systrap/patching/site_table.h"

#define HEATS         256
#define CALLS_HOT     4          /* calls from one site before it is looked at */
#define CALLS_SETTLED UINT32_MAX /* calls: they are not counted any more. wanted: no number of calls is enough */

struct site_heat {
    uint64_t ip; /* behind the instruction, as the event has it */
    uint32_t calls;
    uint32_t wanted; /* calls that make it worth a look */
};

struct heat_map {
    struct site_heat heats[HEATS];
    uint64_t first; /* all that were ever counted are from there to last */
    uint64_t last;
};

static inline struct site_heat *heat_of(struct heat_map *map, uint64_t ip)
{
    return &map->heats[(ip ^ ip >> 12) % HEATS];
}

/* Another site may have the place in the map by now. */
static inline bool heat_is_hot(const struct site_heat *heat, uint64_t ip)
{
    return heat->ip == ip && heat->calls != CALLS_SETTLED && heat->calls >= heat->wanted;
}

/* Calls from there are the ones that this place in the map counts now. */
void heat_start(struct heat_map *map, struct site_heat *heat, uint64_t ip);

/* One more call from there. True: it is hot, and worth a look. */
static inline bool heat_count(struct heat_map *map, uint64_t ip)
{
    struct site_heat *heat = heat_of(map, ip);

    if (heat->ip != ip)
        heat_start(map, heat, ip);
    if (heat->calls != CALLS_SETTLED)
        heat->calls++;
    return heat_is_hot(heat, ip);
}

/*
 * Calls that a site at addr must make for a look. It costs a trampoline for
 * good, and what changing code takes. Code that does not rest is worth both
 * only if it calls more each time, and must leave half of the trampolines to
 * other code.
 */
uint32_t heat_wanted(const struct site_table *table, uint64_t addr);

/*
 * Calls near this range are counted anew. What is known of a call depends on so
 * many bytes before and behind it, and on the pages of these.
 */
void heat_cool(struct heat_map *map, uint64_t start, uint64_t end, uint32_t code_before, uint32_t code_after);

#endif
