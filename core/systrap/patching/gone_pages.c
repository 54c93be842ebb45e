/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>

#include "core/systrap/orders.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/gone_pages.h"
#include "core/systrap/patching/page_orders.h"

/* Calls that unmap what was set aside for pages that nobody wants back. */
struct throw_away {
    struct stub_call calls[ORDERS_MAX];
    size_t n;
};

static void throw_away(struct systrap_subprocess *subprocess, struct throw_away *those)
{
    struct order_reply reply;

    memcpy(orders_of(subprocess)->calls, those->calls, those->n * sizeof(those->calls[0]));
    if (those->n)
        orders_give(subprocess, those->n, &reply);
    those->n = 0;
}

static void add_throw_away(struct systrap_subprocess *subprocess, uint64_t addr, struct throw_away *those)
{
    struct stub_call *last = those->n ? &those->calls[those->n - 1] : NULL;

    if (last && last->args[0] + last->args[1] == addr) {
        last->args[1] += subprocess->patches.sites.pages.page_size;
        return;
    }
    if (those->n == ORDERS_MAX)
        throw_away(subprocess, those);
    those->calls[those->n++] =
        (struct stub_call){.nr = tgi_arch.syscalls.munmap, .args = {addr, subprocess->patches.sites.pages.page_size}};
}

static void forget_page(struct systrap_subprocess *subprocess, struct patched_page *page)
{
    struct patched_pages *pages = &subprocess->patches.sites.pages;

    site_table_undo_page(&subprocess->patches.sites, page->addr);
    patched_pages_free_aside(pages, page->aside);
    patched_pages_free_code(pages, page->code);
    page->aside = NO_PAGE;
    page->code = NO_PAGE;
}

/* Contexts in calls of sites go the long way back, so where none is gone they go the short one. */
static void note_gone(struct systrap_patches *patches)
{
    atomic_fetch_add(&patches->undoings, 1);
    patches->gaps++;
}

static void forget_those(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end,
                         bool (*is_gone)(struct systrap_subprocess *subprocess, const struct patched_page *page))
{
    const struct patched_pages *pages = &subprocess->patches.sites.pages;
    struct throw_away those = {.n = 0};
    bool any = false;

    for (uint32_t i = patched_pages_from(pages, start); i < pages->count && pages->records[i].addr < end; i++) {
        struct patched_page *page = &pages->records[i];

        if (page->aside == NO_PAGE || !is_gone(subprocess, page))
            continue;
        if (!any)
            note_gone(&subprocess->patches);
        any = true;
        add_throw_away(subprocess, page_aside_addr(subprocess, page->aside), &those);
        forget_page(subprocess, page);
    }
    throw_away(subprocess, &those);
}

static bool is_gone(struct systrap_subprocess *subprocess, const struct patched_page *page)
{
    (void)subprocess;
    (void)page;
    return true;
}

/* Its sites tell whether it is still there. What cannot be read for another reason may be: it is not used again. */
static bool is_not_there(struct systrap_subprocess *subprocess, const struct patched_page *page)
{
    const struct patched_site *sites = subprocess->patches.sites.sites;

    for (uint32_t i = page->newest; i != NO_SITE; i = sites[i].older) {
        const struct arch_patch *patch = &sites[i].patch;
        uint8_t now[ARCH_PATCH_BYTES];
        ssize_t length;

        if (sites[i].undone)
            continue;
        length = code_read_now(subprocess, patch->start, now, patch->length);
        return length < 0 ? length == -EFAULT
                          : (size_t)length < patch->length || memcmp(now, patch->replacement, patch->length) != 0;
    }
    return false;
}

void gone_pages_forget(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    forget_those(subprocess, start, end, is_gone);
}

void gone_pages_check(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    forget_those(subprocess, start, end, is_not_there);
}
