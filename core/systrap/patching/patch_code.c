/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Pages of code: what goes into them, and the orders to the stub's syscall thread that put them into their places. */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>

#include "core/systrap/orders.h"
#include "core/systrap/patching/patch_code.h"
#include "core/systrap/patching/patched_pages.h"
#include "core/systrap/stub_copy.h"
#include "core/systrap/stub_memory.h"

/* ---- orders ---- */

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
    bool joined;   /* it comes in one call with the page before, or not at all */
    bool done;
};

#define CHANGES_AT_ONCE ((ORDERS_MAX - 1) / 2)

static uint64_t page_size_of(const struct systrap_subprocess *subprocess)
{
    return subprocess->base.platform->info.page_size;
}

static uint64_t code_offset(const struct systrap_subprocess *subprocess, uint32_t code)
{
    return STUB_CODE_PAGES + code * page_size_of(subprocess);
}

/* Addresses of the region behind the slots, where the stub has nothing of the file. */
static uint64_t aside_addr(const struct systrap_subprocess *subprocess, uint32_t aside)
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
        return move_call(subprocess, change->addr, aside_addr(subprocess, change->aside));
    return protect_call(subprocess, change->addr, PROT_NONE);
}

static struct stub_call bring_call(const struct systrap_subprocess *subprocess, const struct page_change *change,
                                   size_t pages)
{
    if (change->step == PAGE_PUT_BACK)
        return move_call(subprocess, aside_addr(subprocess, change->aside), change->addr);
    return (struct stub_call){
        .nr = tgi_arch.syscalls.mmap,
        .args = {change->addr, pages * page_size_of(subprocess), PROT_READ | PROT_EXEC,
                 MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, (uint64_t)subprocess->file,
                 code_offset(subprocess, change->code)},
    };
}

/* It was taken away, and what was to come there has not. */
static struct stub_call regret_call(const struct systrap_subprocess *subprocess, const struct page_change *change)
{
    if (change->step == PAGE_SET_ASIDE)
        return move_call(subprocess, aside_addr(subprocess, change->aside), change->addr);
    return protect_call(subprocess, change->addr, PROT_READ | PROT_EXEC);
}

static int regret(struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n, int err)
{
    struct answer answer;

    if (!n)
        return err;
    for (size_t i = 0; i < n; i++)
        orders_of(subprocess)->calls[i] = regret_call(subprocess, &changes[i]);
    if (orders_give(subprocess, n, &answer))
        return -ESRCH;
    return answer.left ? -EIO : err;
}

static size_t add_calls(struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n)
{
    struct stub_call *calls = orders_of(subprocess)->calls;
    size_t all = 0;

    for (size_t i = 0; i < n; i++)
        calls[all++] = take_away_call(subprocess, &changes[i]);
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

/* 0: all are done. Else those are as they were that are not; -EIO: some are away. */
static int change_pages(struct systrap_subprocess *subprocess, struct page_change *changes, size_t n)
{
    const size_t all = add_calls(subprocess, changes, n);
    struct answer answer;
    size_t made;
    size_t done;

    if (orders_give(subprocess, all, &answer))
        return -ESRCH;
    made = answer.left < all ? all - answer.left : 0;
    done = mark_done(changes, n, made > n ? made - n - 1 : 0);
    subprocess->patches.changes++;
    if (!answer.left)
        return 0;
    return regret(subprocess, changes + done, (made < n ? made : n) - done, (int)answer.result);
}

bool patch_code_register(struct systrap_subprocess *template)
{
    struct answer answer = {.left = 1};

    pthread_mutex_lock(&template->order_lock);
    /* Nothing is there to be moved: but a filter that kills a stub for that call is to do so now, while opening. */
    orders_of(template)->calls[0] = move_call(template, 0, 0);
    orders_give(template, 1, &answer);
    orders_of(template)->calls[0] = barrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
    if (orders_give(template, 1, &answer))
        answer.left = 1;
    pthread_mutex_unlock(&template->order_lock);
    return answer.left == 0;
}

/* ---- what is in a page ---- */

ssize_t patch_code_read_now(struct systrap_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    return stub_copy(&subprocess->base, false, addr, buffer, length);
}

/* The part of a site's bytes that lies in this page. */
static void copy_part(uint8_t *page, uint64_t page_addr, uint64_t page_size, const struct arch_patch *patch,
                      const uint8_t *bytes)
{
    for (uint32_t i = 0; i < patch->length; i++) {
        if (patch->start + i - page_addr < page_size)
            page[patch->start + i - page_addr] = bytes[i];
    }
}

static bool holds_part(const uint8_t *page, uint64_t page_addr, uint64_t page_size, const struct arch_patch *patch,
                       const uint8_t *bytes)
{
    for (uint32_t i = 0; i < patch->length; i++) {
        if (patch->start + i - page_addr < page_size && page[patch->start + i - page_addr] != bytes[i])
            return false;
    }
    return true;
}

/*
 * In a new code page, which is no one's before the order that maps it: what is
 * there now, but these bytes in the place of those. 0 or -errno.
 */
static int fill_code(struct systrap_subprocess *subprocess, const struct page_change *change,
                     const struct arch_patch *patch, const uint8_t *from, const uint8_t *to)
{
    const uint64_t size = page_size_of(subprocess);
    uint8_t *page = subprocess->memory + code_offset(subprocess, change->code);

    if (patch_code_read_now(subprocess, change->addr, page, size) != (ssize_t)size ||
        !holds_part(page, change->addr, size, patch, from))
        return -EFAULT;
    copy_part(page, change->addr, size, patch, to);
    return 0;
}

/* ---- records ---- */

/* What a change that is done leaves, or one that is not. */
static void settle(struct systrap_subprocess *subprocess, const struct page_change *change)
{
    struct patched_pages *pages = &subprocess->patches.pages;
    struct patched_page *page = patched_page_find(pages, change->addr);

    if (!change->done) {
        patched_pages_free_code(pages, change->code);
        if (change->step == PAGE_SET_ASIDE)
            patched_pages_free_aside(pages, change->aside);
        return;
    }
    patched_pages_free_code(pages, page->code);
    page->code = change->code;
    page->aside = change->step == PAGE_PUT_BACK ? NO_PAGE : change->aside;
    if (change->step == PAGE_PUT_BACK)
        patched_pages_free_aside(pages, change->aside);
}

static struct patched_page *page_of(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    return patched_page_find(&subprocess->patches.pages, patch_page_of(subprocess, addr));
}

static void count_live(struct systrap_subprocess *subprocess, uint32_t number, bool live)
{
    struct patched_site *site = &subprocess->patches.sites[number];
    struct patched_page *first = page_of(subprocess, site->patch.start);
    struct patched_page *last = page_of(subprocess, patch_last_byte(&site->patch));

    site->undone = !live;
    subprocess->patches.dead += live ? -1u : 1;
    first->live += live ? 1 : -1u;
    if (first == last)
        return;
    last->live += live ? 1 : -1u;
    first->crossing = live ? number : NO_SITE;
    subprocess->patches.pages.crossings += live ? 1 : -1u;
}

/* All sites with bytes in this page are undone. */
static void mark_page_undone(struct systrap_subprocess *subprocess, uint64_t addr)
{
    const struct patched_site *sites = subprocess->patches.sites;
    struct patched_page *page = page_of(subprocess, addr);
    const struct patched_page *before = page_of(subprocess, addr - 1);

    page->changes++;
    if (before && before->crossing != NO_SITE)
        count_live(subprocess, before->crossing, false);
    for (uint32_t i = page->newest; i != NO_SITE && page->live; i = sites[i].older) {
        if (!sites[i].undone)
            count_live(subprocess, i, false);
    }
}

/* ---- a site ---- */

static bool is_in_place(const struct patched_page *page)
{
    return !page || page->aside == NO_PAGE;
}

bool patch_code_room(struct systrap_subprocess *subprocess, const struct arch_patch *patch)
{
    struct patched_pages *pages = &subprocess->patches.pages;
    const uint64_t size = page_size_of(subprocess);
    const uint64_t first = patch_page_of(subprocess, patch->start);
    const uint64_t last = patch_page_of(subprocess, patch_last_byte(patch));
    const bool two = first != last;
    const uint32_t new_pages =
        is_in_place(patched_page_find(pages, first)) + (two && is_in_place(patched_page_find(pages, last)));

    return patched_pages_room(pages, new_pages, two ? 3 : 1) && patched_page_get(pages, first, size) &&
           patched_page_get(pages, last, size);
}

static void prepare_put(struct systrap_subprocess *subprocess, struct page_change *change, uint64_t addr, uint32_t code)
{
    const struct patched_page *page = page_of(subprocess, addr);

    *change = (struct page_change){.step = PAGE_RENEW, .addr = addr, .aside = page->aside, .code = code};
    if (page->aside != NO_PAGE)
        return;
    change->step = PAGE_SET_ASIDE;
    change->aside = patched_pages_take_aside(&subprocess->patches.pages);
}

int patch_code_put(struct systrap_subprocess *subprocess, uint32_t number)
{
    const struct arch_patch *patch = &subprocess->patches.sites[number].patch;
    const uint64_t first = patch_page_of(subprocess, patch->start);
    const uint32_t n = patch_in_two_pages(subprocess, patch) ? 2 : 1;
    const uint32_t code = patched_pages_take_codes(&subprocess->patches.pages, n);
    struct page_change changes[2];
    int err = 0;

    if (code == NO_PAGE)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        prepare_put(subprocess, &changes[i], first + i * page_size_of(subprocess), code + i);
        changes[i].joined = i > 0;
    }
    for (uint32_t i = 0; i < n && !err; i++)
        err = fill_code(subprocess, &changes[i], patch, patch->original, patch->replacement);
    if (!err)
        err = change_pages(subprocess, changes, n);
    for (uint32_t i = 0; i < n; i++)
        settle(subprocess, &changes[i]);
    if (!err)
        count_live(subprocess, number, true);
    return err;
}

/* ---- undoing ---- */

/* The pages around those that come back may share a site with them: they lose that one alone. */
static int prepare_neighbour(struct systrap_subprocess *subprocess, struct page_change *change, uint64_t addr,
                             uint32_t site)
{
    const struct arch_patch *patch = &subprocess->patches.sites[site].patch;
    const struct patched_page *page = page_of(subprocess, addr);

    *change = (struct page_change){.step = page->live == 1 ? PAGE_PUT_BACK : PAGE_RENEW,
                                   .addr = page->addr,
                                   .aside = page->aside,
                                   .code = NO_PAGE};
    if (change->step == PAGE_PUT_BACK)
        return 0;
    change->code = patched_pages_take_codes(&subprocess->patches.pages, 1);
    if (change->code == NO_PAGE)
        return -ENOMEM;
    return fill_code(subprocess, change, patch, patch->replacement, patch->original);
}

static struct page_change put_back(const struct patched_page *page)
{
    return (struct page_change){.step = PAGE_PUT_BACK, .addr = page->addr, .aside = page->aside, .code = NO_PAGE};
}

/* From the record *next on; how many changes, or -errno. All that share a site are among them. */
static int prepare_undo(struct systrap_subprocess *subprocess, uint32_t *next, uint64_t end,
                        struct page_change changes[CHANGES_AT_ONCE])
{
    const struct patched_pages *pages = &subprocess->patches.pages;
    const struct patched_page *page = &pages->records[*next];
    const struct patched_page *before = page_of(subprocess, page->addr - 1);
    int n = 0;
    int err = 0;

    if (before && before->crossing != NO_SITE && page->aside != NO_PAGE)
        err = prepare_neighbour(subprocess, &changes[n++], before->addr, before->crossing);
    for (; !err && *next < pages->count && pages->records[*next].addr < end && n < (int)CHANGES_AT_ONCE - 1; ++*next) {
        page = &pages->records[*next];
        if (page->aside != NO_PAGE)
            changes[n++] = put_back(page);
    }
    if (!err && n && page->crossing != NO_SITE)
        err = prepare_neighbour(subprocess, &changes[n++], page->addr + page_size_of(subprocess), page->crossing);
    for (int i = 0; err && i < n; i++)
        settle(subprocess, &changes[i]);
    return err ? err : n;
}

/* Also of what failed: contexts in their calls go on behind these, for the bytes may soon be gone. */
static void mark_changes_undone(struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n)
{
    atomic_fetch_add(&subprocess->patches.undone, 1);
    for (size_t i = 0; i < n; i++) {
        settle(subprocess, &changes[i]);
        if (changes[i].done && changes[i].step == PAGE_PUT_BACK)
            mark_page_undone(subprocess, changes[i].addr);
    }
}

/* Two pages with one site in both, of which one has changed and the other has not. */
static bool is_torn(const struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (changes[i].done && !changes[i + 1].done)
            return page_of(subprocess, changes[i].addr)->crossing != NO_SITE;
    }
    return false;
}

int patch_code_undo(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    const struct patched_pages *pages = &subprocess->patches.pages;
    uint32_t next = patched_pages_from(pages, start);
    struct page_change changes[CHANGES_AT_ONCE];
    int err = 0;

    while (!err && next < pages->count && pages->records[next].addr < end) {
        const int n = prepare_undo(subprocess, &next, end, changes);

        if (n <= 0) {
            err = n;
            continue;
        }
        err = change_pages(subprocess, changes, (size_t)n);
        if (err && is_torn(subprocess, changes, (size_t)n))
            err = -EIO;
        mark_changes_undone(subprocess, changes, (size_t)n);
    }
    return err;
}

/* ---- pages that are gone ---- */

/* Calls that unmap what was set aside for pages that nobody wants back. */
struct throw_away {
    struct stub_call calls[ORDERS_MAX];
    size_t n;
};

static void throw_away(struct systrap_subprocess *subprocess, struct throw_away *those)
{
    struct answer answer;

    memcpy(orders_of(subprocess)->calls, those->calls, those->n * sizeof(those->calls[0]));
    if (those->n)
        orders_give(subprocess, those->n, &answer);
    those->n = 0;
}

static void add_throw_away(struct systrap_subprocess *subprocess, uint64_t addr, struct throw_away *those)
{
    struct stub_call *last = those->n ? &those->calls[those->n - 1] : NULL;

    if (last && last->args[0] + last->args[1] == addr) {
        last->args[1] += page_size_of(subprocess);
        return;
    }
    if (those->n == ORDERS_MAX)
        throw_away(subprocess, those);
    those->calls[those->n++] =
        (struct stub_call){.nr = tgi_arch.syscalls.munmap, .args = {addr, page_size_of(subprocess)}};
}

static void forget_page(struct systrap_subprocess *subprocess, struct patched_page *page)
{
    struct patched_pages *pages = &subprocess->patches.pages;

    mark_page_undone(subprocess, page->addr);
    patched_pages_free_aside(pages, page->aside);
    patched_pages_free_code(pages, page->code);
    page->aside = NO_PAGE;
    page->code = NO_PAGE;
}

static void forget_those(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end,
                         bool (*is_gone)(struct systrap_subprocess *subprocess, const struct patched_page *page))
{
    const struct patched_pages *pages = &subprocess->patches.pages;
    struct throw_away those = {.n = 0};

    atomic_fetch_add(&subprocess->patches.undone, 1);
    subprocess->patches.changes++;
    for (uint32_t i = patched_pages_from(pages, start); i < pages->count && pages->records[i].addr < end; i++) {
        struct patched_page *page = &pages->records[i];

        if (page->aside == NO_PAGE || !is_gone(subprocess, page))
            continue;
        add_throw_away(subprocess, aside_addr(subprocess, page->aside), &those);
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
    const struct patched_site *sites = subprocess->patches.sites;

    for (uint32_t i = page->newest; i != NO_SITE; i = sites[i].older) {
        const struct arch_patch *patch = &sites[i].patch;
        uint8_t now[ARCH_PATCH_BYTES];
        ssize_t length;

        if (sites[i].undone)
            continue;
        length = patch_code_read_now(subprocess, patch->start, now, patch->length);
        return length < 0 ? length == -EFAULT
                          : (size_t)length < patch->length || memcmp(now, patch->replacement, patch->length) != 0;
    }
    return false;
}

void patch_code_forget(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    forget_those(subprocess, start, end, is_gone);
}

void patch_code_check(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    forget_those(subprocess, start, end, is_not_there);
}

/* ---- reading ---- */

/* The part of the buffer that lies in this page. How many bytes, or -errno. */
static ssize_t read_page(struct systrap_subprocess *subprocess, const struct patched_page *page, uint64_t addr,
                         uint8_t *buffer, size_t length)
{
    const uint64_t from = page->addr > addr ? page->addr : addr;
    const uint64_t page_end = page->addr + page_size_of(subprocess);
    const uint64_t end = page_end < addr + length ? page_end : addr + length;
    const uint64_t at = page->aside == NO_PAGE ? from : aside_addr(subprocess, page->aside) + (from - page->addr);

    return patch_code_read_now(subprocess, at, buffer + (from - addr), end - from);
}

static ssize_t read_pages(struct systrap_subprocess *subprocess, uint64_t addr, uint8_t *buffer, size_t length,
                          ssize_t copied)
{
    const struct patched_pages *pages = &subprocess->patches.pages;
    const struct patched_page *page = page_of(subprocess, addr);
    uint64_t end;

    /* It may have been away. */
    if (copied < 0 && page)
        copied = read_page(subprocess, page, addr, buffer, length);
    end = addr + (copied > 0 ? (size_t)copied : 0);
    for (uint32_t i = patched_pages_from(pages, patch_page_of(subprocess, addr));
         i < pages->count && pages->records[i].addr < end; i++) {
        page = &pages->records[i];
        if (read_page(subprocess, page, addr, buffer, end - addr) < 0)
            return page->addr > addr ? (ssize_t)(page->addr - addr) : -EFAULT;
    }
    return copied;
}

ssize_t patch_code_read(struct tg_subprocess *base, uint64_t addr, void *buffer, size_t length, ssize_t copied)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    const size_t asked = copied > 0 ? (size_t)copied : 1;

    if (!patched_pages_maybe(&subprocess->patches.pages, addr, asked, base->platform->info.page_size))
        return copied;
    /* The host may forbid copies from one moment to the next; the stub makes them then, by an order. */
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&subprocess->patches.lock);
    copied = read_pages(subprocess, addr, buffer, length, copied);
    pthread_mutex_unlock(&subprocess->patches.lock);
    pthread_mutex_unlock(&subprocess->order_lock);
    return copied;
}
