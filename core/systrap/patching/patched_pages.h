/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Pages of guest code that have, or had, patched sites. While some bytes of a
 * page are others than the guest's, a page of the stub's file is in its place
 * (a code page), and the page itself is set aside: moved to an address of the
 * stub's region, with all that it is, until it is put back.
 *
 * Plain data: whoever calls holds the patches' lock, but for
 * patched_pages_maybe().
 */
#ifndef CORE_SYSTRAP_PATCHING_PATCHED_PAGES_H
#define CORE_SYSTRAP_PATCHING_PATCHED_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASIDE_PAGES 512  /* so many pages can have patched calls at one time */
#define CODE_PAGES  2048 /* in the file; one that a child may have mapped is never used again */
#define FILTER_BITS 4096
#define NO_PAGE     UINT32_MAX
#define NO_SITE     UINT32_MAX

struct patched_page {
    uint64_t addr;
    uint32_t newest;     /* site that starts here, and leads to the older ones: site_table.sites */
    uint32_t site_count; /* of that list */
    uint32_t crossing;   /* the live site of it that goes on in the next page; NO_SITE */
    uint32_t live;       /* live sites with bytes here */
    uint32_t undoings;   /* how often its sites were undone */
    uint32_t aside;      /* where the page is meanwhile; NO_PAGE: in its place */
    uint32_t code;       /* what is in its place; NO_PAGE: one of an ancestor's file */
};

struct patched_pages {
    struct patched_page *records; /* by address; none ever goes */
    uint32_t count;
    uint32_t capacity;
    uint32_t crossings; /* live sites in two pages */
    uint32_t page_size; /* never changes */
    uint64_t aside_used[ASIDE_PAGES / 64];
    uint64_t code_used[CODE_PAGES / 64];
    uint64_t code_shared[CODE_PAGES / 64]; /* by children, whose code must stay what it is */
    /* Of every page that ever had a record: set before its bytes change, for those who look without a lock. */
    _Atomic uint64_t filter[FILTER_BITS / 64];
};

void patched_pages_init(struct patched_pages *pages, uint32_t page_size);
/* No page has a record any more; what children may have mapped stays taken. */
void patched_pages_empty(struct patched_pages *pages);
void patched_pages_destroy(struct patched_pages *pages);
/* Of a child, which finds what is set aside in the same places. 0 or -ENOMEM. */
int patched_pages_inherit(struct patched_pages *child, struct patched_pages *mother);

/* Where the page begins that holds addr. */
static inline uint64_t patched_page_start(const struct patched_pages *pages, uint64_t addr)
{
    return addr & ~((uint64_t)pages->page_size - 1);
}

/* The first record of a page that begins at addr or behind: its index, or the count. */
uint32_t patched_pages_from(const struct patched_pages *pages, uint64_t addr);
/* Of the page that holds addr; NULL: there is none. */
struct patched_page *patched_page_of(const struct patched_pages *pages, uint64_t addr);
/* The same, made if need be; NULL: there is no memory. Records that were found before have moved. */
struct patched_page *patched_page_get(struct patched_pages *pages, uint64_t addr);

/* May a page there have a record? For ranges of many pages always. Any thread. */
bool patched_pages_maybe(const struct patched_pages *pages, uint64_t addr, size_t length);

/* A number, or NO_PAGE: none is left. */
uint32_t patched_pages_take_aside(struct patched_pages *pages);
void patched_pages_free_aside(struct patched_pages *pages, uint32_t aside);
/* n in a row, one or two: the first. */
uint32_t patched_pages_take_codes(struct patched_pages *pages, uint32_t n);
/* Nobody maps it any more, unless a child does. */
void patched_pages_free_code(struct patched_pages *pages, uint32_t code);

uint32_t patched_pages_codes_left(const struct patched_pages *pages);

/* Is there room for a patch in so many new pages, and for undoing all there are afterwards? */
bool patched_pages_room(const struct patched_pages *pages, uint32_t new_pages, uint32_t codes);

#endif
