/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>

#include "core/systrap/patching/page_changes.h"

/* ---- putting ---- */

static struct page_change to_put(struct site_table *table, uint32_t site, uint64_t addr, uint32_t code)
{
    const struct patched_page *page = patched_page_of(&table->pages, addr);
    struct page_change change = {
        .step = PAGE_RENEW, .addr = page->addr, .aside = page->aside, .code = code, .site = site};

    if (page->aside == NO_PAGE) {
        change.step = PAGE_SET_ASIDE;
        change.aside = patched_pages_take_aside(&table->pages);
    }
    return change;
}

size_t page_changes_to_put(struct site_table *table, uint32_t site, struct page_change changes[2])
{
    const struct arch_patch *patch = &table->sites[site].patch;
    const bool two = site_is_in_two_pages(table, patch);
    const uint32_t code = patched_pages_take_codes(&table->pages, two ? 2 : 1);

    if (code == NO_PAGE)
        return 0;
    changes[0] = to_put(table, site, patch->start, code);
    if (!two)
        return 1;
    changes[1] = to_put(table, site, patch_last_byte(patch), code + 1);
    changes[1].joined = true;
    return 2;
}

bool page_change_to_fill(struct site_table *table, uint64_t addr, struct page_change *change)
{
    const uint32_t code = patched_pages_take_codes(&table->pages, 1);

    if (code == NO_PAGE)
        return false;
    *change = to_put(table, NO_SITE, addr, code);
    return true;
}

/* ---- undoing ---- */

static struct page_change to_put_back(const struct patched_page *page)
{
    return (struct page_change){
        .step = PAGE_PUT_BACK, .addr = page->addr, .aside = page->aside, .code = NO_PAGE, .site = NO_SITE};
}

/* The pages around those that come back may share a site with them: they lose that one alone. False: no code page. */
static bool add_neighbour(struct site_table *table, uint64_t addr, uint32_t site, struct page_change *change)
{
    const struct patched_page *page = patched_page_of(&table->pages, addr);

    *change = to_put_back(page);
    if (page->live == 1)
        return true;
    change->step = PAGE_RENEW;
    change->site = site;
    change->code = patched_pages_take_codes(&table->pages, 1);
    return change->code != NO_PAGE;
}

int page_changes_to_undo(struct site_table *table, uint32_t *next, uint64_t end,
                         struct page_change changes[CHANGES_AT_ONCE])
{
    const struct patched_pages *pages = &table->pages;
    const struct patched_page *page = &pages->records[*next];
    const uint32_t into = page->aside != NO_PAGE ? site_table_crossing_into(table, page->addr) : NO_SITE;
    bool enough = true;
    int n = 0;

    if (into != NO_SITE)
        enough = add_neighbour(table, page->addr - 1, into, &changes[n++]);
    for (; *next < pages->count && pages->records[*next].addr < end && n < (int)CHANGES_AT_ONCE - 1; ++*next) {
        page = &pages->records[*next];
        if (page->aside != NO_PAGE)
            changes[n++] = to_put_back(page);
    }
    if (n && page->crossing != NO_SITE)
        enough = add_neighbour(table, page->addr + pages->page_size, page->crossing, &changes[n++]) && enough;
    if (enough)
        return n;
    page_changes_settle(table, changes, (size_t)n);
    return -ENOMEM;
}

bool page_changes_tear(const struct site_table *table, const struct page_change *changes, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (changes[i].done && !changes[i + 1].done)
            return site_table_crossing_from(table, changes[i].addr) != NO_SITE;
    }
    return false;
}

/* ---- afterwards ---- */

static void settle_done(struct patched_pages *pages, const struct page_change *change)
{
    struct patched_page *page = patched_page_of(pages, change->addr);
    const bool is_back = change->step == PAGE_PUT_BACK;

    patched_pages_free_code(pages, page->code);
    page->code = change->code;
    page->aside = is_back ? NO_PAGE : change->aside;
    if (is_back)
        patched_pages_free_aside(pages, change->aside);
}

static void settle_failed(struct patched_pages *pages, const struct page_change *change)
{
    patched_pages_free_code(pages, change->code);
    if (change->step == PAGE_SET_ASIDE)
        patched_pages_free_aside(pages, change->aside);
}

void page_changes_settle(struct site_table *table, const struct page_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (changes[i].done)
            settle_done(&table->pages, &changes[i]);
        else
            settle_failed(&table->pages, &changes[i]);
    }
}
