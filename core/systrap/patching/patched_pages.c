/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/systrap/patching/patched_pages.h"

#define RECORDS_FIRST 16
#define CODES_AT_ONCE 2 /* that one change takes, at most */

void patched_pages_init(struct patched_pages *pages, uint32_t page_size)
{
    memset(pages, 0, sizeof(*pages));
    pages->page_size = page_size;
}

void patched_pages_empty(struct patched_pages *pages)
{
    uint64_t shared[CODE_PAGES / 64];

    memcpy(shared, pages->code_shared, sizeof(shared));
    free(pages->records);
    patched_pages_init(pages, pages->page_size);
    memcpy(pages->code_shared, shared, sizeof(shared));
    memcpy(pages->code_used, shared, sizeof(shared));
}

void patched_pages_destroy(struct patched_pages *pages)
{
    free(pages->records);
}

/* ---- numbers ---- */

static bool is_set(const uint64_t *bits, uint32_t number)
{
    return bits[number / 64] >> number % 64 & 1;
}

static void set_bit(uint64_t *bits, uint32_t number)
{
    bits[number / 64] |= UINT64_C(1) << number % 64;
}

static void clear_bit(uint64_t *bits, uint32_t number)
{
    bits[number / 64] &= ~(UINT64_C(1) << number % 64);
}

uint32_t patched_pages_take_aside(struct patched_pages *pages)
{
    for (uint32_t number = 0; number < ASIDE_PAGES; number++) {
        if (!is_set(pages->aside_used, number)) {
            set_bit(pages->aside_used, number);
            return number;
        }
    }
    return NO_PAGE;
}

void patched_pages_free_aside(struct patched_pages *pages, uint32_t aside)
{
    clear_bit(pages->aside_used, aside);
}

uint32_t patched_pages_take_codes(struct patched_pages *pages, uint32_t n)
{
    for (uint32_t code = 0; code + n <= CODE_PAGES; code++) {
        if (is_set(pages->code_used, code) || is_set(pages->code_used, code + n - 1))
            continue;
        set_bit(pages->code_used, code);
        set_bit(pages->code_used, code + n - 1);
        return code;
    }
    return NO_PAGE;
}

void patched_pages_free_code(struct patched_pages *pages, uint32_t code)
{
    if (code == NO_PAGE || is_set(pages->code_shared, code))
        return;
    clear_bit(pages->code_used, code);
}

static uint32_t bits_left(const uint64_t *bits, uint32_t size)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < size / 64; i++)
        left += (uint32_t)__builtin_popcountll(~bits[i]);
    return left;
}

uint32_t patched_pages_codes_left(const struct patched_pages *pages)
{
    return bits_left(pages->code_used, CODE_PAGES);
}

/* Undoing a site in two pages may take a code page that its neighbours stay in: that one is always left. */
bool patched_pages_room(const struct patched_pages *pages, uint32_t new_pages, uint32_t codes)
{
    return bits_left(pages->aside_used, ASIDE_PAGES) >= new_pages &&
           patched_pages_codes_left(pages) >= codes + pages->crossings + CODES_AT_ONCE;
}

/* ---- records ---- */

uint32_t patched_pages_from(const struct patched_pages *pages, uint64_t addr)
{
    uint32_t low = 0;
    uint32_t high = pages->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (pages->records[middle].addr < addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of the page that begins at start. */
static bool is_record_of(const struct patched_pages *pages, uint32_t index, uint64_t start)
{
    return index < pages->count && pages->records[index].addr == start;
}

struct patched_page *patched_page_of(const struct patched_pages *pages, uint64_t addr)
{
    const uint64_t start = patched_page_start(pages, addr);
    const uint32_t index = patched_pages_from(pages, start);

    return is_record_of(pages, index, start) ? &pages->records[index] : NULL;
}

static bool make_room(struct patched_pages *pages)
{
    const uint32_t capacity = pages->capacity ? 2 * pages->capacity : RECORDS_FIRST;
    struct patched_page *records;

    if (pages->count < pages->capacity)
        return true;
    records = realloc(pages->records, capacity * sizeof(*records));
    if (!records)
        return false;
    pages->records = records;
    pages->capacity = capacity;
    return true;
}

static uint32_t filter_bit(uint64_t page_number)
{
    return (uint32_t)(page_number % FILTER_BITS);
}

struct patched_page *patched_page_get(struct patched_pages *pages, uint64_t addr)
{
    const uint64_t start = patched_page_start(pages, addr);
    const uint32_t index = patched_pages_from(pages, start);
    const uint32_t bit = filter_bit(start / pages->page_size);
    struct patched_page *page;

    if (is_record_of(pages, index, start))
        return &pages->records[index];
    if (!make_room(pages))
        return NULL;
    page = &pages->records[index];
    memmove(page + 1, page, (pages->count - index) * sizeof(*page));
    *page =
        (struct patched_page){.addr = start, .newest = NO_SITE, .crossing = NO_SITE, .aside = NO_PAGE, .code = NO_PAGE};
    pages->count++;
    atomic_fetch_or(&pages->filter[bit / 64], UINT64_C(1) << bit % 64);
    return page;
}

/* Whoever has copied a page with bytes that are not the guest's finds its bit: it was set before they came. */
bool patched_pages_maybe(const struct patched_pages *pages, uint64_t addr, size_t length)
{
    const uint64_t first = addr / pages->page_size;
    const uint64_t last = (addr + length - 1) / pages->page_size;

    if (last - first >= FILTER_BITS)
        return true;
    for (uint64_t number = first; number <= last; number++) {
        const uint32_t bit = filter_bit(number);

        if (atomic_load_explicit(&pages->filter[bit / 64], memory_order_relaxed) >> bit % 64 & 1)
            return true;
    }
    return false;
}

/* ---- children ---- */

static void share_code(struct patched_pages *mother)
{
    for (uint32_t i = 0; i < mother->count; i++) {
        if (mother->records[i].code != NO_PAGE)
            set_bit(mother->code_shared, mother->records[i].code);
    }
}

int patched_pages_inherit(struct patched_pages *child, struct patched_pages *mother)
{
    struct patched_page *records = malloc((mother->count ? mother->count : 1) * sizeof(*records));

    if (!records)
        return -ENOMEM;
    if (mother->count)
        memcpy(records, mother->records, mother->count * sizeof(*records));
    child->records = records;
    child->count = mother->count;
    child->capacity = mother->count;
    child->crossings = mother->crossings;
    memcpy(child->aside_used, mother->aside_used, sizeof(child->aside_used));
    for (uint32_t i = 0; i < child->count; i++)
        records[i].code = NO_PAGE;
    for (uint32_t i = 0; i < FILTER_BITS / 64; i++)
        atomic_store(&child->filter[i], atomic_load(&mother->filter[i]));
    share_code(mother);
    return 0;
}
