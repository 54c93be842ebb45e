/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The sites of a subprocess: system call instructions that are patched, or
 * were. A site is live while its patch is in the guest's code, and undone
 * otherwise. It keeps its number, which is that of its trampoline, for good: a
 * thread may be in the trampoline at any time, and a site that comes back as it
 * was has its own again.
 *
 * Plain data, with the records of the pages that hold the sites' bytes: no
 * locks, no calls. Whoever calls holds the patches' lock.
 */
#ifndef CORE_SYSTRAP_PATCHING_SITE_TABLE_H
#define CORE_SYSTRAP_PATCHING_SITE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch_patching.h"
#include "core/systrap/patching/patched_pages.h"

#define SITES_OF_PAGE 1024 /* ever, of all that start in one page: as many as anything goes through for an event */

struct patched_site {
    struct arch_patch patch;
    bool undone;    /* its bytes are the original ones, or somebody else's */
    uint32_t older; /* number of the next one of those that start in the same page; NO_SITE */
};

struct site_table {
    struct patched_pages pages;
    struct patched_site *sites; /* by number; none ever goes */
    uint32_t count;
    uint32_t capacity;
    uint32_t undone; /* how many of them are */
    uint32_t max;    /* never changes: numbers that there are */
};

static inline uint64_t patch_last_byte(const struct arch_patch *patch)
{
    return patch->start + patch->length - 1;
}

void site_table_init(struct site_table *table, uint32_t page_size, uint32_t max);
/* No site was ever there. */
void site_table_empty(struct site_table *table);
void site_table_destroy(struct site_table *table);
/* Of a child, which has the same sites in the same places. 0 or -ENOMEM. */
int site_table_inherit(struct site_table *child, struct site_table *mother);

/* The live site whose bytes hold addr, or else the newest undone one that was there; NULL: there never was any. */
struct patched_site *site_table_find(const struct site_table *table, uint64_t addr);
static inline uint32_t site_table_number(const struct site_table *table, const struct patched_site *site)
{
    return (uint32_t)(site - table->sites);
}

bool site_is_in_two_pages(const struct site_table *table, const struct arch_patch *patch);
/* Is there a number left, and are there not too many sites already in the page of addr? */
bool site_table_has_number(const struct site_table *table, uint64_t addr);
/* Can this patch, new or of a site that is undone, get into its pages? Makes their records. False: not enough of
 * something. */
bool site_table_reserve(struct site_table *table, const struct arch_patch *patch);
/*
 * A new site, undone, in pages that have records; site_table_has_number() said
 * yes. NULL: there is no memory. Sites that were found before have moved.
 */
struct patched_site *site_table_add(struct site_table *table, const struct arch_patch *patch);

/* Its patch is in the code now, or is no more. It was the other way round. */
void site_table_set_live(struct site_table *table, uint32_t number, bool live);
/* The page of this address is as it was, or gone, and so are all sites with bytes in it. */
void site_table_undo_page(struct site_table *table, uint64_t addr);
/* The live site that goes on from the page before into that of addr, and the one that goes on from there; NO_SITE. */
uint32_t site_table_crossing_into(const struct site_table *table, uint64_t addr);
uint32_t site_table_crossing_from(const struct site_table *table, uint64_t addr);

#endif
