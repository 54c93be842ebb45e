/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/patching/site_heat.h"

#define UNDOINGS_FREE 512 /* as often a page's sites are undone before its calls have to be more for each time */
#define UNDOINGS_MORE 20  /* twice as many, this often */

void heat_start(struct heat_map *map, struct site_heat *heat, uint64_t ip)
{
    *heat = (struct site_heat){.ip = ip, .wanted = CALLS_HOT};
    if (!map->last || ip < map->first)
        map->first = ip;
    if (ip > map->last)
        map->last = ip;
}

uint32_t heat_wanted(const struct site_table *table, uint64_t addr)
{
    const struct patched_page *page = patched_page_of(&table->pages, addr);
    const uint32_t undoings = page ? page->undoings : 0;
    const uint32_t more = undoings < UNDOINGS_FREE ? 0 : undoings - UNDOINGS_FREE + 1;

    if (undoings && table->undone >= table->max / 2)
        return CALLS_SETTLED;
    return CALLS_HOT << (more < UNDOINGS_MORE ? more : UNDOINGS_MORE);
}

/* Nothing that is known of a call from there depends on bytes from start on. A guest may have made up any ip. */
static bool is_before(uint64_t ip, uint64_t start, uint32_t code_after)
{
    return start >= code_after && ip <= start - code_after;
}

void heat_cool(struct heat_map *map, uint64_t start, uint64_t end, uint32_t code_before, uint32_t code_after)
{
    /* Most operations are on data, far away from all calls. */
    if (map->first >= end + code_before || is_before(map->last, start, code_after))
        return;
    for (uint32_t i = 0; i < HEATS; i++) {
        const uint64_t ip = map->heats[i].ip;

        if (ip < end + code_before && !is_before(ip, start, code_after))
            map->heats[i] = (struct site_heat){0};
    }
}
