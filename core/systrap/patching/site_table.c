/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/systrap/patching/site_table.h"

#define SITES_FIRST 64

void site_table_init(struct site_table *table, uint32_t page_size, uint32_t max)
{
    *table = (struct site_table){.max = max};
    patched_pages_init(&table->pages, page_size);
}

void site_table_empty(struct site_table *table)
{
    struct site_table empty = {.max = table->max, .pages = table->pages};

    free(table->sites);
    patched_pages_empty(&empty.pages);
    *table = empty;
}

void site_table_destroy(struct site_table *table)
{
    patched_pages_destroy(&table->pages);
    free(table->sites);
}

int site_table_inherit(struct site_table *child, struct site_table *mother)
{
    const size_t size = mother->count * sizeof(mother->sites[0]);
    struct patched_site *sites = malloc(size ? size : 1);

    if (!sites)
        return -ENOMEM;
    if (patched_pages_inherit(&child->pages, &mother->pages)) {
        free(sites);
        return -ENOMEM;
    }
    if (size)
        memcpy(sites, mother->sites, size);
    child->sites = sites;
    child->count = mother->count;
    child->capacity = mother->count;
    child->undone = mother->undone;
    return 0;
}

/* ---- finding ---- */

/* Of the sites that start in this page: the live one whose bytes hold addr, or the newest one that was there. */
static struct patched_site *find_in_page(const struct site_table *table, const struct patched_page *page, uint64_t addr)
{
    struct patched_site *newest = NULL;

    for (uint32_t i = page ? page->newest : NO_SITE; i != NO_SITE; i = table->sites[i].older) {
        struct patched_site *site = &table->sites[i];

        if (addr - site->patch.start >= site->patch.length)
            continue;
        if (!site->undone)
            return site;
        if (!newest)
            newest = site;
    }
    return newest;
}

struct patched_site *site_table_find(const struct site_table *table, uint64_t addr)
{
    const uint64_t start = patched_page_start(&table->pages, addr);
    struct patched_site *site = find_in_page(table, patched_page_of(&table->pages, addr), addr);

    if ((site && !site->undone) || addr - start >= ARCH_PATCH_BYTES)
        return site;
    /* Or one from the page before. */
    return find_in_page(table, patched_page_of(&table->pages, start - 1), addr) ?: site;
}

uint32_t site_table_crossing_from(const struct site_table *table, uint64_t addr)
{
    const struct patched_page *page = patched_page_of(&table->pages, addr);

    return page ? page->crossing : NO_SITE;
}

uint32_t site_table_crossing_into(const struct site_table *table, uint64_t addr)
{
    return site_table_crossing_from(table, patched_page_start(&table->pages, addr) - 1);
}

/* ---- adding ---- */

bool site_is_in_two_pages(const struct site_table *table, const struct arch_patch *patch)
{
    return patched_page_start(&table->pages, patch->start) != patched_page_start(&table->pages, patch_last_byte(patch));
}

bool site_table_has_number(const struct site_table *table, uint64_t addr)
{
    const struct patched_page *page = patched_page_of(&table->pages, addr);

    return table->count < table->max && (!page || page->site_count < SITES_OF_PAGE);
}

/* Would a patch in the page of this address need another place for pages that are set aside? */
static bool is_in_place(const struct site_table *table, uint64_t addr)
{
    const struct patched_page *page = patched_page_of(&table->pages, addr);

    return !page || page->aside == NO_PAGE;
}

bool site_table_reserve(struct site_table *table, const struct arch_patch *patch)
{
    const uint64_t last = patch_last_byte(patch);
    const bool two = site_is_in_two_pages(table, patch);
    const uint32_t new_pages = is_in_place(table, patch->start) + (two && is_in_place(table, last));

    return patched_pages_room(&table->pages, new_pages, two ? 3 : 1) && patched_page_get(&table->pages, patch->start) &&
           patched_page_get(&table->pages, last);
}

static bool make_room(struct site_table *table)
{
    const uint32_t capacity = table->capacity ? 2 * table->capacity : SITES_FIRST;
    struct patched_site *sites;

    if (table->count < table->capacity)
        return true;
    sites = realloc(table->sites, capacity * sizeof(*sites));
    if (!sites)
        return false;
    table->sites = sites;
    table->capacity = capacity;
    return true;
}

struct patched_site *site_table_add(struct site_table *table, const struct arch_patch *patch)
{
    struct patched_page *page = patched_page_of(&table->pages, patch->start);
    struct patched_site *site;

    if (!make_room(table))
        return NULL;
    site = &table->sites[table->count];
    *site = (struct patched_site){.patch = *patch, .undone = true, .older = page->newest};
    page->newest = table->count++;
    page->site_count++;
    table->undone++;
    return site;
}

/* ---- live and undone ---- */

void site_table_set_live(struct site_table *table, uint32_t number, bool live)
{
    struct patched_site *site = &table->sites[number];
    struct patched_page *first = patched_page_of(&table->pages, site->patch.start);
    struct patched_page *last = patched_page_of(&table->pages, patch_last_byte(&site->patch));
    const uint32_t more = live ? 1 : -1u;

    site->undone = !live;
    table->undone -= more;
    first->live += more;
    if (first == last)
        return;
    last->live += more;
    first->crossing = live ? number : NO_SITE;
    table->pages.crossings += more;
}

void site_table_undo_page(struct site_table *table, uint64_t addr)
{
    struct patched_page *page = patched_page_of(&table->pages, addr);
    const uint32_t crossing = site_table_crossing_into(table, addr);

    page->undoings++;
    if (crossing != NO_SITE)
        site_table_set_live(table, crossing, false);
    for (uint32_t i = page->newest; i != NO_SITE && page->live; i = table->sites[i].older) {
        if (!table->sites[i].undone)
            site_table_set_live(table, i, false);
    }
}
