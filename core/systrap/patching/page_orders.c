/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/mman.h>

#include "core/systrap/orders.h"
#include "core/systrap/patching/page_orders.h"
#include "core/systrap/patching/trampolines.h"
#include "core/systrap/stub_memory.h"

static uint64_t page_size_of(const struct systrap_subprocess *subprocess)
{
    return subprocess->base.platform->info.page_size;
}

uint64_t page_code_offset(const struct systrap_subprocess *subprocess, uint32_t code)
{
    return STUB_CODE_PAGES + code * page_size_of(subprocess);
}

/* Addresses of the region behind the slots, where the stub has nothing of the file. */
uint64_t page_aside_addr(const struct systrap_subprocess *subprocess, uint32_t aside)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    return sp->region + sp->aside_pages + aside * page_size_of(subprocess);
}

static struct stub_call move_call(const struct systrap_subprocess *subprocess, uint64_t from, uint64_t to)
{
    const uint64_t size = page_size_of(subprocess);

    return (struct stub_call){.nr = tgi_arch.syscalls.mremap,
                              .args = {from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to}};
}

static struct stub_call protect_call(const struct systrap_subprocess *subprocess, uint64_t addr, uint64_t protection)
{
    return (struct stub_call){.nr = tgi_arch.syscalls.mprotect, .args = {addr, page_size_of(subprocess), protection}};
}

static struct stub_call barrier_call(int command)
{
    return (struct stub_call){.nr = tgi_arch.syscalls.membarrier, .args = {(uint64_t)command}};
}

/* From here on nobody can run it. */
static struct stub_call take_away_call(const struct systrap_subprocess *subprocess, const struct page_change *change)
{
    if (change->step == PAGE_SET_ASIDE)
        return move_call(subprocess, change->addr, page_aside_addr(subprocess, change->aside));
    return protect_call(subprocess, change->addr, PROT_NONE);
}

static struct stub_call bring_call(const struct systrap_subprocess *subprocess, const struct page_change *change,
                                   size_t pages)
{
    if (change->step == PAGE_PUT_BACK)
        return move_call(subprocess, page_aside_addr(subprocess, change->aside), change->addr);
    return (struct stub_call){
        .nr = tgi_arch.syscalls.mmap,
        .args = {change->addr, pages * page_size_of(subprocess), PROT_READ | PROT_EXEC,
                 MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, (uint64_t)subprocess->file,
                 page_code_offset(subprocess, change->code)},
    };
}

/* It was taken away, and what was to come there has not. */
static struct stub_call regret_call(const struct systrap_subprocess *subprocess, const struct page_change *change)
{
    if (change->step == PAGE_SET_ASIDE)
        return move_call(subprocess, page_aside_addr(subprocess, change->aside), change->addr);
    return protect_call(subprocess, change->addr, PROT_READ | PROT_EXEC);
}

static int regret(struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n, int err)
{
    struct order_reply reply;

    if (!n)
        return err;
    for (size_t i = 0; i < n; i++)
        orders_of(subprocess)->calls[i] = regret_call(subprocess, &changes[i]);
    if (orders_give(subprocess, n, &reply))
        return -ESRCH;
    return reply.left ? -EIO : err;
}

/* How many calls come before the first that brings a page, besides those that take pages away. */
static size_t calls_around(const struct systrap_subprocess *subprocess)
{
    return trampolines_table_is_mapped(subprocess) ? 1 : 2;
}

size_t page_orders_fill(const struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n,
                        struct stub_call *calls)
{
    size_t all = 0;

    for (size_t i = 0; i < n; i++)
        calls[all++] = take_away_call(subprocess, &changes[i]);
    if (!trampolines_table_is_mapped(subprocess))
        calls[all++] = trampolines_table_call(subprocess);
    calls[all++] = barrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
    for (size_t i = 0; i < n; i++) {
        if (!changes[i].joined)
            calls[all++] = bring_call(subprocess, &changes[i], i + 1 < n && changes[i + 1].joined ? 2 : 1);
    }
    return all;
}

/* How many changes so many calls have brought to their end. */
static size_t mark_done(struct page_change *changes, size_t n, size_t calls)
{
    size_t done = 0;

    while (done < n && (calls || changes[done].joined)) {
        calls -= !changes[done].joined;
        changes[done++].done = true;
    }
    return done;
}

int page_orders_made(struct systrap_subprocess *subprocess, struct page_change *changes, size_t n, size_t made,
                     int64_t result)
{
    const size_t before = n + calls_around(subprocess);
    const size_t done = mark_done(changes, n, made > before ? made - before : 0);

    if (made >= before)
        trampolines_note_table(subprocess);
    subprocess->patches.gaps++;
    if (!result)
        return 0;
    return regret(subprocess, changes + done, (made < n ? made : n) - done, (int)result);
}

int page_orders_change(struct systrap_subprocess *subprocess, struct page_change *changes, size_t n)
{
    const size_t all = page_orders_fill(subprocess, changes, n, orders_of(subprocess)->calls);
    struct order_reply reply;

    if (orders_give(subprocess, all, &reply))
        return -ESRCH;
    return page_orders_made(subprocess, changes, n, reply.left < all ? all - reply.left : 0,
                            reply.left ? reply.result : 0);
}

bool page_orders_register(struct systrap_subprocess *template)
{
    struct order_reply reply = {.left = 1};

    pthread_mutex_lock(&template->order_lock);
    /* Nothing is there to be moved: but a filter that kills a stub for that call is to do so now, while opening. */
    orders_of(template)->calls[0] = move_call(template, 0, 0);
    orders_give(template, 1, &reply);
    orders_of(template)->calls[0] = barrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
    if (orders_give(template, 1, &reply))
        reply.left = 1;
    pthread_mutex_unlock(&template->order_lock);
    return reply.left == 0;
}
