/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>

#include "core/systrap/death.h"
#include "core/systrap/orders.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/file_bytes.h"
#include "core/systrap/patching/page_orders.h"
#include "core/systrap/patching/patch_decision.h"
#include "core/systrap/patching/site_batch.h"

static struct site_table *table_of(const struct site_batch *batch)
{
    return &batch->subprocess->patches.sites;
}

/* ---- pages ---- */

static uint8_t *bytes_of(const struct site_batch *batch, uint32_t page)
{
    return batch->subprocess->memory + page_code_offset(batch->subprocess, batch->changes[page].code);
}

static bool is_in_page(const struct site_batch *batch, uint32_t page, uint64_t addr, size_t length)
{
    const uint64_t start = batch->changes[page].addr;

    return addr >= start && addr + length <= start + table_of(batch)->pages.page_size;
}

/* Records never go, and a guest can map a file, whose sites do not fit, at ever new addresses: not too many of them. */
static bool may_have_record(const struct site_table *table, uint64_t addr)
{
    return patched_page_of(&table->pages, addr) || table->pages.count < table->max / 2;
}

/* In what the order maps first only where nothing is in the place of a page; that is forgotten with the old mapping. */
static bool can_change(const struct site_batch *batch, uint64_t addr)
{
    struct site_table *table = table_of(batch);
    const struct patched_page *page;

    if (batch->page_count == batch->pages_max || !patched_pages_room(&table->pages, 1, 1) ||
        !may_have_record(table, addr) || (batch->fd < 0 && !patch_may_change(batch->subprocess, addr)))
        return false;
    page = patched_page_get(&table->pages, addr);
    return page && (batch->fd < 0 || page->aside == NO_PAGE);
}

static bool read_code(const struct site_batch *batch, uint64_t addr, uint8_t *bytes, size_t length)
{
    if (batch->fd >= 0)
        return file_bytes_read(batch->fd, addr - batch->file->start + batch->file->offset, bytes, length);
    return code_read_now(batch->subprocess, addr, bytes, length) == (ssize_t)length;
}

/* Nobody has the code page yet. */
static bool take_page(struct site_batch *batch, uint64_t addr)
{
    struct site_table *table = table_of(batch);
    struct page_change *change = &batch->changes[batch->page_count];
    const uint64_t size = table->pages.page_size;

    if (!can_change(batch, addr) || !page_change_to_fill(table, addr, change))
        return false;
    if (read_code(batch, change->addr, bytes_of(batch, batch->page_count), size))
        return true;
    page_changes_settle(table, change, 1);
    return false;
}

uint32_t site_batch_page(struct site_batch *batch, uint64_t addr)
{
    const uint64_t start = patched_page_start(&table_of(batch)->pages, addr);

    if (batch->page_count && batch->changes[batch->page_count - 1].addr == start)
        return batch->page_count - 1;
    return take_page(batch, start) ? batch->page_count++ : NO_BATCH_PAGE;
}

bool site_batch_read(const struct site_batch *batch, uint32_t page, uint64_t addr, uint8_t *bytes, size_t length)
{
    const uint64_t start = batch->changes[page].addr;

    if (!is_in_page(batch, page, addr, length) && !read_code(batch, addr, bytes, length))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (is_in_page(batch, page, addr + i, 1))
            bytes[i] = bytes_of(batch, page)[addr + i - start];
    }
    return true;
}

/* ---- sites ---- */

/* As it was the last time, or with a new number; *known: a site that was there, and NULL after a new way was found. */
static bool plan_site(const struct site_batch *batch, const struct arch_syscall *syscall, const struct site_code *code,
                      struct patched_site **known, struct site_plan *plan)
{
    const struct site_table *table = table_of(batch);

    if (*known &&
        site_plan_of_code(batch->subprocess, syscall, code, site_table_number(table, *known), plan) == PATCH_OK &&
        site_plan_is_of(plan, *known))
        return true;
    *known = NULL;
    return site_table_has_number(table, syscall->ip - 1) &&
           site_plan_of_code(batch->subprocess, syscall, code, table->count, plan) == PATCH_OK;
}

static void join(struct site_batch *batch, uint32_t page, const struct patched_site *site)
{
    const struct arch_patch *patch = &site->patch;

    memcpy(bytes_of(batch, page) + (patch->start - batch->changes[page].addr), patch->replacement, patch->length);
    batch->sites[batch->site_count++] = (struct batched_site){site_table_number(table_of(batch), site), page};
}

bool site_batch_add(struct site_batch *batch, uint32_t page, const struct arch_syscall *syscall, uint32_t starts,
                    const struct site_code *code)
{
    struct patched_site *site = site_table_find(table_of(batch), syscall->ip - 1);
    struct site_plan plan;

    if (batch->site_count == BATCH_SITES || (site && !site->undone) || !plan_site(batch, syscall, code, &site, &plan))
        return false;
    if (!(starts >> (syscall->ip - plan.patch.start) & 1) ||
        !is_in_page(batch, page, plan.patch.start, plan.patch.length))
        return false;
    if (!site)
        site = patch_new_site(batch->subprocess, &plan);
    if (site)
        join(batch, page, site);
    return site != NULL;
}

/* ---- putting ---- */

/* Those in which no site has been found worth it are given back. */
static void drop_pages_without_sites(struct site_batch *batch)
{
    uint32_t kept = 0;
    uint32_t site = 0;

    for (uint32_t i = 0; i < batch->page_count; i++) {
        const uint32_t first = site;

        for (; site < batch->site_count && batch->sites[site].page == i; site++)
            batch->sites[site].page = kept;
        if (site > first)
            batch->changes[kept++] = batch->changes[i];
        else
            page_changes_settle(table_of(batch), &batch->changes[i], 1);
    }
    batch->page_count = kept;
}

static void set_live(struct site_batch *batch)
{
    for (uint32_t i = 0; i < batch->site_count; i++) {
        const struct batched_site *site = &batch->sites[i];

        if (!batch->changes[site->page].done)
            continue;
        site_table_set_live(table_of(batch), site->number, true);
        patch_count_site(batch->subprocess, &table_of(batch)->sites[site->number].patch);
    }
}

size_t site_batch_fill(struct site_batch *batch, struct stub_call *calls)
{
    drop_pages_without_sites(batch);
    return batch->page_count ? page_orders_fill(batch->subprocess, batch->changes, batch->page_count, calls) : 0;
}

void site_batch_made(struct site_batch *batch, size_t made, int64_t result)
{
    const int err = page_orders_made(batch->subprocess, batch->changes, batch->page_count, made, result);

    page_changes_settle(table_of(batch), batch->changes, batch->page_count);
    set_live(batch);
    if (err == -EIO)
        systrap_subprocess_die(batch->subprocess, TG_DEAD_CORRUPT, 0);
}

void site_batch_put(struct site_batch *batch)
{
    const size_t n = site_batch_fill(batch, orders_of(batch->subprocess)->calls);
    struct order_reply reply;

    if (n && !orders_give(batch->subprocess, n, &reply))
        site_batch_made(batch, reply.left < n ? n - reply.left : 0, reply.left ? reply.result : 0);
}
