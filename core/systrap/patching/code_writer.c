/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>

#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/code_writer.h"
#include "core/systrap/patching/page_orders.h"

/* ---- what is in a code page ---- */

/* A page of code as it is to be, and where it will be in the guest. */
struct code_page {
    uint8_t *bytes;
    uint64_t addr;
    uint64_t size;
};

/* The part of a patch's bytes that lies in this page. */
static void copy_part(const struct code_page *page, const struct arch_patch *patch, const uint8_t *bytes)
{
    for (uint32_t i = 0; i < patch->length; i++) {
        if (patch->start + i - page->addr < page->size)
            page->bytes[patch->start + i - page->addr] = bytes[i];
    }
}

static bool holds_part(const struct code_page *page, const struct arch_patch *patch, const uint8_t *bytes)
{
    for (uint32_t i = 0; i < patch->length; i++) {
        if (patch->start + i - page->addr < page->size && page->bytes[patch->start + i - page->addr] != bytes[i])
            return false;
    }
    return true;
}

/*
 * Fills a new code page, which is no one's before the order that maps it: what
 * is there now, but with the patch, or without it. 0 or -errno.
 */
static int fill_code_page(struct systrap_subprocess *subprocess, const struct page_change *change, bool patched)
{
    const struct arch_patch *patch = &subprocess->patches.sites.sites[change->site].patch;
    const struct code_page page = {.bytes = subprocess->memory + page_code_offset(subprocess, change->code),
                                   .addr = change->addr,
                                   .size = subprocess->patches.sites.pages.page_size};

    if (code_read_now(subprocess, page.addr, page.bytes, page.size) != (ssize_t)page.size ||
        !holds_part(&page, patch, patched ? patch->original : patch->replacement))
        return -EFAULT;
    copy_part(&page, patch, patched ? patch->replacement : patch->original);
    return 0;
}

static int fill_code_pages(struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n,
                           bool patched)
{
    int err = 0;

    for (size_t i = 0; i < n && !err; i++) {
        if (changes[i].code != NO_PAGE)
            err = fill_code_page(subprocess, &changes[i], patched);
    }
    return err;
}

/* ---- putting ---- */

int code_writer_put(struct systrap_subprocess *subprocess, uint32_t site)
{
    struct site_table *sites = &subprocess->patches.sites;
    struct page_change changes[2];
    const size_t n = page_changes_to_put(sites, site, changes);
    int err;

    if (!n)
        return -ENOMEM;
    err = fill_code_pages(subprocess, changes, n, true);
    if (!err)
        err = page_orders_change(subprocess, changes, n);
    page_changes_settle(sites, changes, n);
    if (!err)
        site_table_set_live(sites, site, true);
    return err;
}

/* ---- undoing ---- */

/* Also if some failed: contexts in calls of those go on behind them, for the bytes may soon be gone. */
static void note_undone(struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n)
{
    struct site_table *sites = &subprocess->patches.sites;

    atomic_fetch_add(&subprocess->patches.undoings, 1);
    page_changes_settle(sites, changes, n);
    for (size_t i = 0; i < n; i++) {
        if (changes[i].done && changes[i].step == PAGE_PUT_BACK)
            site_table_undo_page(sites, changes[i].addr);
    }
}

static int undo_at_once(struct systrap_subprocess *subprocess, struct page_change *changes, size_t n)
{
    struct site_table *sites = &subprocess->patches.sites;
    int err = fill_code_pages(subprocess, changes, n, false);

    if (err) {
        page_changes_settle(sites, changes, n);
        return err;
    }
    err = page_orders_change(subprocess, changes, n);
    if (err && page_changes_tear(sites, changes, n))
        err = -EIO;
    note_undone(subprocess, changes, n);
    return err;
}

int code_writer_undo(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    struct site_table *sites = &subprocess->patches.sites;
    uint32_t next = patched_pages_from(&sites->pages, start);
    struct page_change changes[CHANGES_AT_ONCE];
    int err = 0;

    while (!err && next < sites->pages.count && sites->pages.records[next].addr < end) {
        const int n = page_changes_to_undo(sites, &next, end, changes);

        err = n > 0 ? undo_at_once(subprocess, changes, (size_t)n) : n;
    }
    return err;
}
