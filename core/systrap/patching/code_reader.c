/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>

#include "core/guest_parts.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/page_orders.h"
#include "core/systrap/stub_copy.h"

ssize_t code_read_now(struct systrap_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    const struct iovec guest = {(void *)(uintptr_t)addr, length};
    const struct iovec ours = {buffer, length};

    return stub_copy(&subprocess->base, &(struct guest_parts){false, 1, &guest, &ours});
}

/* The part of the buffer that lies in this page. How many bytes, or -errno. */
static ssize_t read_page(struct systrap_subprocess *subprocess, const struct patched_page *page, uint64_t addr,
                         uint8_t *buffer, size_t length)
{
    const uint64_t from = page->addr > addr ? page->addr : addr;
    const uint64_t page_end = page->addr + subprocess->patches.sites.pages.page_size;
    const uint64_t end = page_end < addr + length ? page_end : addr + length;
    const uint64_t at = page->aside == NO_PAGE ? from : page_aside_addr(subprocess, page->aside) + (from - page->addr);

    return code_read_now(subprocess, at, buffer + (from - addr), end - from);
}

static ssize_t read_pages(struct systrap_subprocess *subprocess, uint64_t addr, uint8_t *buffer, size_t length,
                          ssize_t copied)
{
    const struct patched_pages *pages = &subprocess->patches.sites.pages;
    const struct patched_page *page = patched_page_of(pages, addr);
    uint64_t end;

    /* It may have been away. */
    if (copied < 0 && page)
        copied = read_page(subprocess, page, addr, buffer, length);
    end = addr + (copied > 0 ? (size_t)copied : 0);
    for (uint32_t i = patched_pages_from(pages, patched_page_start(pages, addr));
         i < pages->count && pages->records[i].addr < end; i++) {
        page = &pages->records[i];
        if (read_page(subprocess, page, addr, buffer, end - addr) < 0)
            return page->addr > addr ? (ssize_t)(page->addr - addr) : -EFAULT;
    }
    return copied;
}

ssize_t code_read_written(struct systrap_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    return read_pages(subprocess, addr, buffer, length, code_read_now(subprocess, addr, buffer, length));
}

ssize_t code_read_original(struct tg_subprocess *base, uint64_t addr, void *buffer, size_t length, ssize_t copied)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);

    if (!patched_pages_maybe(&subprocess->patches.sites.pages, addr, copied > 0 ? (size_t)copied : 1))
        return copied;
    /* The host may forbid copies from one moment to the next; the stub makes them then, by an order. */
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&subprocess->patches.lock);
    copied = read_pages(subprocess, addr, buffer, length, copied);
    pthread_mutex_unlock(&subprocess->patches.lock);
    pthread_mutex_unlock(&subprocess->order_lock);
    return copied;
}
