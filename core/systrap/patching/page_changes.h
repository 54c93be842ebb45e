/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which pages have to change, and how, so that a patch comes into guest code or
 * is undone. Plain data, as the site table that the changes are made from:
 * page_orders.c makes them.
 */
#ifndef CORE_SYSTRAP_PATCHING_PAGE_CHANGES_H
#define CORE_SYSTRAP_PATCHING_PAGE_CHANGES_H

#include "core/systrap/patching/site_table.h"
#include "stub/systrap_protocol.h"

enum page_step {
    PAGE_SET_ASIDE, /* a code page comes into the place of the guest's page */
    PAGE_RENEW,     /* another code page comes there */
    PAGE_PUT_BACK,  /* the guest's page comes back */
};

struct page_change {
    enum page_step step;
    uint64_t addr;
    uint32_t aside;
    uint32_t code; /* the new one; NO_PAGE: none */
    uint32_t site; /* whose patch the new code page has, or has no more */
    bool joined;   /* it comes in one call with the page before, or not at all */
    bool done;
};

#define CHANGES_AT_ONCE ((ORDERS_MAX - 2) / 2) /* two calls for each, and two between */

/*
 * To put the patch of this site, for which site_table_reserve() has made room.
 * How many, one or two; they keep what they take until they are settled. 0: no
 * code page is left.
 */
size_t page_changes_to_put(struct site_table *table, uint32_t site, struct page_change changes[2]);

/* To put patches into this page, which has none and a record, and for which there is room. False: no code page is left.
 */
bool page_change_to_fill(struct site_table *table, uint64_t addr, struct page_change *change);

/*
 * To undo all live sites with bytes in pages from the record *next on, until
 * end. Advances *next. How many: there may be more to do, in a further call; 0:
 * there is nothing to do; or -ENOMEM.
 */
int page_changes_to_undo(struct site_table *table, uint32_t *next, uint64_t end,
                         struct page_change changes[CHANGES_AT_ONCE]);

/* Records what changes that are done have left, and gives back what the others have taken. */
void page_changes_settle(struct site_table *table, const struct page_change *changes, size_t n);
/* Two pages with one live site in both, of which one has changed and the other has not. */
bool page_changes_tear(const struct site_table *table, const struct page_change *changes, size_t n);

#endif
