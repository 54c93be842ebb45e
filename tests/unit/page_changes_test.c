/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which pages change for a patch, and what is left when only some of them did. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/systrap/patching/page_changes.h"

#define PAGE  0x1000u
#define START 0x7fff12340000u
#define PAGES 100u
#define ALL   CHANGES_AT_ONCE

static struct site_table table;

static int begin(void **state)
{
    (void)state;
    site_table_init(&table, PAGE, 16384);
    return 0;
}

static int end(void **state)
{
    (void)state;
    site_table_destroy(&table);
    return 0;
}

/* ---- what the writer of code does, without any code ---- */

/* So many of the changes, from the first one on, and no half of a pair. */
static void carry_out(struct page_change *changes, size_t n, size_t done)
{
    for (size_t i = 0; i < n; i++)
        changes[i].done = i < done || (i && changes[i].joined && changes[i - 1].done);
}

static uint32_t new_site(uint64_t start, uint32_t length)
{
    const struct arch_patch patch = {.start = start, .length = length};

    assert_true(site_table_reserve(&table, &patch));
    return site_table_number(&table, site_table_add(&table, &patch));
}

static size_t put(uint32_t site, bool done)
{
    struct page_change changes[2];
    const size_t n = page_changes_to_put(&table, site, changes);

    carry_out(changes, n, done ? n : 0);
    page_changes_settle(&table, changes, n);
    if (done)
        site_table_set_live(&table, site, true);
    return n;
}

static uint32_t put_new(uint64_t start, uint32_t length)
{
    const uint32_t site = new_site(start, length);

    assert_int_not_equal(put(site, true), 0);
    return site;
}

static void note_undone(struct page_change *changes, size_t n, size_t done)
{
    carry_out(changes, n, done);
    page_changes_settle(&table, changes, n);
    for (size_t i = 0; i < n; i++) {
        if (changes[i].done && changes[i].step == PAGE_PUT_BACK)
            site_table_undo_page(&table, changes[i].addr);
    }
}

/* How many orders it took. */
static int undo(uint64_t start, uint64_t end_addr)
{
    uint32_t next = patched_pages_from(&table.pages, start);
    struct page_change changes[CHANGES_AT_ONCE];
    int orders = 0;

    while (next < table.pages.count && table.pages.records[next].addr < end_addr) {
        const int n = page_changes_to_undo(&table, &next, end_addr, changes);

        assert_in_range(n, 0, CHANGES_AT_ONCE);
        note_undone(changes, (size_t)n, ALL);
        orders += n > 0;
    }
    return orders;
}

/* ---- what must always be true ---- */

static uint32_t live_in(const struct patched_page *page)
{
    uint32_t live = 0;

    for (uint32_t i = 0; i < table.count; i++) {
        const struct arch_patch *patch = &table.sites[i].patch;

        live += !table.sites[i].undone && patch->start < page->addr + PAGE && patch_last_byte(patch) >= page->addr;
    }
    return live;
}

/* A page is set aside if and only if it has live sites; then its two numbers are its own, and no others are taken. */
static void check_table(void)
{
    uint8_t aside[ASIDE_PAGES] = {0};
    uint8_t code[CODE_PAGES] = {0};
    uint32_t codes = 0;

    for (uint32_t i = 0; i < table.pages.count; i++) {
        const struct patched_page *page = &table.pages.records[i];

        assert_int_equal(page->live, live_in(page));
        assert_int_equal(page->aside != NO_PAGE, page->live != 0);
        assert_int_equal(page->code != NO_PAGE, page->live != 0);
        if (!page->live)
            continue;
        assert_int_equal(aside[page->aside]++, 0);
        assert_int_equal(code[page->code]++, 0);
        codes++;
    }
    assert_int_equal(patched_pages_codes_left(&table.pages), CODE_PAGES - codes);
}

/* ---- putting ---- */

static void one_page(void **state)
{
    (void)state;
    struct page_change changes[2];
    const uint32_t site = new_site(START + 0x10, 7);

    assert_int_equal(page_changes_to_put(&table, site, changes), 1);
    assert_int_equal(changes[0].step, PAGE_SET_ASIDE);
    assert_int_equal(changes[0].addr, START);
    assert_int_equal(changes[0].site, site);
    carry_out(changes, 1, 1);
    page_changes_settle(&table, changes, 1);
    site_table_set_live(&table, site, true);
    check_table();
    assert_int_equal(page_changes_to_put(&table, new_site(START + 0x20, 7), changes), 1);
    assert_int_equal(changes[0].step, PAGE_RENEW);
    carry_out(changes, 1, 0);
    page_changes_settle(&table, changes, 1);
    check_table();
}

/* Both or neither: one call maps two code pages in a row. */
static void two_pages(void **state)
{
    (void)state;
    struct page_change changes[2];
    const uint32_t site = new_site(START + PAGE - 1, 7);

    assert_int_equal(page_changes_to_put(&table, site, changes), 2);
    assert_int_equal(changes[0].addr, START);
    assert_int_equal(changes[1].addr, START + PAGE);
    assert_int_equal(changes[1].code, changes[0].code + 1);
    assert_false(changes[0].joined);
    assert_true(changes[1].joined);
    carry_out(changes, 2, 0);
    page_changes_settle(&table, changes, 2);
    check_table();
    assert_int_equal(put(site, true), 2);
    check_table();
}

static void no_code_page_left(void **state)
{
    (void)state;
    struct page_change changes[2];
    const uint32_t site = new_site(START, 7);

    while (patched_pages_take_codes(&table.pages, 1) != NO_PAGE)
        ;
    assert_int_equal(page_changes_to_put(&table, site, changes), 0);
    assert_int_equal(patched_pages_take_aside(&table.pages), 0);
}

/* ---- undoing ---- */

static void nothing_to_undo(void **state)
{
    (void)state;
    const uint32_t site = put_new(START + 0x10, 7);

    assert_int_equal(undo(0, START), 0);
    assert_int_equal(undo(START + PAGE, UINT64_MAX), 0);
    assert_int_equal(undo(START, START), 0);
    assert_int_equal(undo(START, START + PAGE), 1);
    assert_true(table.sites[site].undone);
    assert_int_equal(undo(START, START + PAGE), 0);
    check_table();
}

/* A page that has others loses the one site that it shares with those that come back. */
static void neighbours(void **state)
{
    (void)state;
    const uint32_t before = put_new(START + PAGE - 3, 7);
    const uint32_t behind = put_new(START + 2 * PAGE - 3, 7);
    const uint32_t first = put_new(START + 0x10, 7);
    const uint32_t last = put_new(START + 2 * PAGE + 0x10, 7);

    check_table();
    assert_int_equal(undo(START + PAGE, START + 2 * PAGE), 1);
    check_table();
    assert_true(table.sites[before].undone);
    assert_true(table.sites[behind].undone);
    assert_false(table.sites[first].undone);
    assert_false(table.sites[last].undone);
    assert_int_equal(table.pages.crossings, 0);
}

/* One that has no others comes back as well. */
static void neighbours_that_come_back(void **state)
{
    (void)state;
    put_new(START + PAGE - 3, 7);
    put_new(START + 2 * PAGE - 3, 7);
    assert_int_equal(undo(START + PAGE, START + 2 * PAGE), 1);
    assert_int_equal(table.undone, 2);
    check_table();
}

/* Without a code page for what stays of a neighbour nothing changes. */
static void no_page_for_a_neighbour(void **state)
{
    (void)state;
    struct page_change changes[CHANGES_AT_ONCE];
    uint32_t next;

    put_new(START + PAGE - 3, 7);
    put_new(START + 0x10, 7);
    while (patched_pages_take_codes(&table.pages, 1) != NO_PAGE)
        ;
    next = patched_pages_from(&table.pages, START + PAGE);
    assert_int_equal(page_changes_to_undo(&table, &next, START + 2 * PAGE, changes), -ENOMEM);
    assert_int_equal(table.undone, 0);
    assert_int_equal(table.pages.crossings, 1);
    assert_int_equal(patched_pages_codes_left(&table.pages), 0);
}

/* One page of a site has come back and the other has not: nobody can tell what a thread there would run. */
static void torn(void **state)
{
    (void)state;
    struct page_change changes[CHANGES_AT_ONCE];
    uint32_t next = 0;
    int n;

    put_new(START + PAGE - 3, 7);
    put_new(START + 2 * PAGE + 0x10, 7);
    n = page_changes_to_undo(&table, &next, UINT64_MAX, changes);
    assert_int_equal(n, 3);
    carry_out(changes, 3, 1);
    assert_true(page_changes_tear(&table, changes, 3));
    carry_out(changes, 3, 2);
    assert_false(page_changes_tear(&table, changes, 3));
    carry_out(changes, 3, 0);
    assert_false(page_changes_tear(&table, changes, 3));
    carry_out(changes, 3, 3);
    assert_false(page_changes_tear(&table, changes, 3));
}

/* All that can be set aside at one time, each page sharing a site with the next one: it is undone, in bounded orders.
 */
static void all_there_can_be(void **state)
{
    (void)state;
    uint32_t sites = 0;

    for (;; sites++) {
        const struct arch_patch patch = {.start = START + (sites + 1) * PAGE - 3, .length = 7};

        if (!site_table_reserve(&table, &patch))
            break;
        put_new(patch.start, patch.length);
    }
    assert_int_equal(sites, ASIDE_PAGES - 1);
    check_table();
    assert_in_range(undo(0, UINT64_MAX), 1, 18);
    assert_int_equal(table.undone, sites);
    check_table();
}

/* ---- at random ---- */

static bool is_free(const struct arch_patch *patch)
{
    for (uint32_t i = 0; i < table.count; i++) {
        const struct arch_patch *other = &table.sites[i].patch;

        if (!table.sites[i].undone && other->start <= patch_last_byte(patch) && patch_last_byte(other) >= patch->start)
            return false;
    }
    return true;
}

static uint64_t random_addr(void)
{
    const uint64_t edge = START + (uint64_t)(rand() % (int)PAGES) * PAGE;

    return rand() % 2 ? edge + (uint64_t)(rand() % 64) : edge + PAGE - 1 - (uint64_t)(rand() % 30);
}

static void put_somewhere(void)
{
    const struct arch_patch patch = {.start = random_addr(), .length = 7 + (uint32_t)rand() % 20};

    if (!is_free(&patch) || !site_table_has_number(&table, patch.start) || !site_table_reserve(&table, &patch))
        return;
    assert_int_equal(put(new_site(patch.start, patch.length), rand() % 8 != 0),
                     site_is_in_two_pages(&table, &patch) + 1);
}

/* An order that fails in the middle, as hosts make them fail; not within a site. */
static void undo_in_part(uint64_t start, uint64_t end_addr)
{
    uint32_t next = patched_pages_from(&table.pages, start);
    struct page_change changes[CHANGES_AT_ONCE];
    size_t done;
    int n;

    if (next == table.pages.count)
        return;
    n = page_changes_to_undo(&table, &next, end_addr, changes);
    assert_in_range(n, 0, CHANGES_AT_ONCE);
    done = n ? (size_t)rand() % (size_t)n : 0;
    carry_out(changes, (size_t)n, done);
    while (page_changes_tear(&table, changes, (size_t)n))
        carry_out(changes, (size_t)n, --done);
    note_undone(changes, (size_t)n, done);
}

static void random_changes(void **state)
{
    (void)state;
    srand(1848);
    for (int i = 0; i < 4000; i++) {
        const uint64_t start = START + (uint64_t)(rand() % (int)PAGES) * PAGE;
        const uint64_t end_addr = rand() % 50 ? start + (uint64_t)(rand() % 6) * PAGE : UINT64_MAX;

        if (rand() % 8)
            put_somewhere();
        else if (rand() % 4)
            undo(start, end_addr);
        else
            undo_in_part(start, end_addr);
        check_table();
    }
    undo(0, UINT64_MAX);
    check_table();
    assert_int_equal(table.undone, table.count);
    assert_int_equal(table.pages.crossings, 0);
    assert_true(table.count > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_page, begin, end),
        cmocka_unit_test_setup_teardown(two_pages, begin, end),
        cmocka_unit_test_setup_teardown(no_code_page_left, begin, end),
        cmocka_unit_test_setup_teardown(nothing_to_undo, begin, end),
        cmocka_unit_test_setup_teardown(neighbours, begin, end),
        cmocka_unit_test_setup_teardown(neighbours_that_come_back, begin, end),
        cmocka_unit_test_setup_teardown(no_page_for_a_neighbour, begin, end),
        cmocka_unit_test_setup_teardown(torn, begin, end),
        cmocka_unit_test_setup_teardown(all_there_can_be, begin, end),
        cmocka_unit_test_setup_teardown(random_changes, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
