/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The table of sites: where they are, which are live, and how many there may be. */
#include "unit.h"

#include <stdlib.h>

#include "core/systrap/patching/site_table.h"

#define PAGE  0x1000u
#define MAX   5000u
#define START 0x7fff12340000u

static struct site_table table;
static struct site_table child;

static int begin(void **state)
{
    (void)state;
    site_table_init(&table, PAGE, MAX);
    site_table_init(&child, PAGE, MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    site_table_destroy(&table);
    site_table_destroy(&child);
    return 0;
}

static uint32_t add(uint64_t start, uint32_t length)
{
    const struct arch_patch patch = {.start = start, .length = length};
    struct patched_site *site;

    assert_true(site_table_reserve(&table, &patch));
    site = site_table_add(&table, &patch);
    assert_non_null(site);
    assert_true(site->undone);
    return site_table_number(&table, site);
}

static uint32_t add_live(uint64_t start, uint32_t length)
{
    const uint32_t number = add(start, length);

    site_table_set_live(&table, number, true);
    return number;
}

static void assert_finds(uint64_t addr, uint32_t number)
{
    const struct patched_site *site = site_table_find(&table, addr);

    assert_non_null(site);
    assert_int_equal(site_table_number(&table, site), number);
}

/* Each byte of it, and none around. */
static void bytes_of_a_site(void **state)
{
    (void)state;
    const uint32_t number = add_live(START + 0x100, 9);

    for (uint64_t i = 0; i < 9; i++)
        assert_finds(START + 0x100 + i, number);
    assert_null(site_table_find(&table, START + 0xff));
    assert_null(site_table_find(&table, START + 0x109));
    assert_int_equal(table.undone, 0);
}

static void site_in_two_pages(void **state)
{
    (void)state;
    const uint32_t number = add_live(START + PAGE - 3, 7);

    assert_finds(START + PAGE - 1, number);
    assert_finds(START + PAGE, number);
    assert_finds(START + PAGE + 3, number);
    assert_null(site_table_find(&table, START + PAGE + 4));
    assert_int_equal(site_table_crossing_from(&table, START), number);
    assert_int_equal(site_table_crossing_into(&table, START + PAGE + 0x123), number);
    assert_int_equal(site_table_crossing_into(&table, START), NO_SITE);
    assert_int_equal(site_table_crossing_from(&table, START + PAGE), NO_SITE);
    assert_int_equal(table.pages.crossings, 1);
    site_table_undo_page(&table, START + PAGE);
    assert_true(table.sites[number].undone);
    assert_int_equal(site_table_crossing_from(&table, START), NO_SITE);
    assert_int_equal(table.pages.crossings, 0);
    assert_int_equal(patched_page_of(&table.pages, START)->live, 0);
    assert_finds(START + PAGE, number);
}

/* A site that ends with its page, and one that begins with the next: neither crosses. */
static void sites_that_touch(void **state)
{
    (void)state;
    const uint32_t before = add_live(START + PAGE - 7, 7);
    const uint32_t behind = add_live(START + PAGE, 7);

    assert_finds(START + PAGE - 1, before);
    assert_finds(START + PAGE, behind);
    assert_int_equal(table.pages.crossings, 0);
    site_table_undo_page(&table, START);
    assert_true(table.sites[before].undone);
    assert_false(table.sites[behind].undone);
}

/* Of those that were there the newest, unless one is live. */
static void undone_and_live(void **state)
{
    (void)state;
    const uint32_t first = add(START + 0x20, 7);
    const uint32_t second = add(START + 0x22, 7);
    const uint32_t third = add(START + 0x24, 7);

    assert_finds(START + 0x24, third);
    assert_finds(START + 0x23, second);
    assert_finds(START + 0x21, first);
    site_table_set_live(&table, first, true);
    assert_finds(START + 0x24, first);
    assert_finds(START + 0x28, third);
    assert_int_equal(table.undone, 2);
    site_table_set_live(&table, first, false);
    assert_finds(START + 0x24, third);
    assert_int_equal(table.undone, 3);
}

/* Addresses that a guest can make up: nothing is there, and nobody looks outside of the table. */
static void made_up_addresses(void **state)
{
    (void)state;
    static const uint64_t addresses[] = {0,          1,          PAGE - 1,          PAGE,
                                         UINT64_MAX, INT64_MAX,  UINT64_C(1) << 47, UINT64_MAX - PAGE + 1,
                                         START - 1,  START + 40, UINT64_MAX - PAGE};

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
            assert_null(site_table_find(&table, addresses[i]));
            assert_int_equal(site_table_crossing_from(&table, addresses[i]), NO_SITE);
            assert_int_equal(site_table_crossing_into(&table, addresses[i]), NO_SITE);
            assert_true(site_table_has_number(&table, addresses[i]));
        }
        add_live(START, 32);
    }
}

/* Around the ends of the address space numbers wrap; a site there is found nevertheless, and nothing else is. */
static void ends_of_the_address_space(void **state)
{
    (void)state;
    const uint32_t first = add_live(0, 7);
    const uint32_t last = add_live(UINT64_MAX - 6, 7);

    assert_finds(0, first);
    assert_finds(6, first);
    assert_null(site_table_find(&table, 7));
    assert_finds(UINT64_MAX, last);
    assert_null(site_table_find(&table, UINT64_MAX - 7));
    assert_int_equal(table.pages.crossings, 0);
    site_table_undo_page(&table, 0);
    assert_false(table.sites[last].undone);
}

/* A guest that lets one page have ever more sites comes to an end, and so does one with many pages. */
static void bounds(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SITES_OF_PAGE; i++) {
        assert_true(site_table_has_number(&table, START));
        add(START + i % 100, 7);
    }
    assert_false(site_table_has_number(&table, START + PAGE - 1));
    assert_true(site_table_has_number(&table, START + PAGE));
    for (uint32_t i = SITES_OF_PAGE; i < MAX; i++) {
        assert_true(site_table_has_number(&table, START + PAGE + i * PAGE));
        add(START + PAGE + i * PAGE, 7);
    }
    assert_false(site_table_has_number(&table, START - 10 * PAGE));
    assert_int_equal(table.count, MAX);
    assert_int_equal(table.undone, MAX);
}

static void undoing_counts(void **state)
{
    (void)state;
    const uint32_t number = add_live(START + 5, 7);

    for (uint32_t i = 1; i <= 3; i++) {
        site_table_undo_page(&table, START + 100);
        assert_int_equal(patched_page_of(&table.pages, START)->undoings, i);
        site_table_set_live(&table, number, true);
    }
}

/* The child has what its mother had, and goes its own way from there. */
static void children(void **state)
{
    (void)state;
    const uint32_t crossing = add_live(START + PAGE - 2, 7);
    const uint32_t undone = add(START + 0x10, 7);

    assert_int_equal(site_table_inherit(&child, &table), 0);
    assert_int_equal(child.count, 2);
    assert_int_equal(child.undone, 1);
    assert_int_equal(site_table_crossing_into(&child, START + PAGE), crossing);
    assert_int_equal(site_table_number(&child, site_table_find(&child, START + 0x11)), undone);
    site_table_undo_page(&table, START);
    assert_int_equal(site_table_crossing_into(&child, START + PAGE), crossing);
    assert_int_equal(child.pages.crossings, 1);
    assert_non_null(site_table_add(&child, &(struct arch_patch){.start = START, .length = 7}));
    assert_int_equal(child.count, 3);
    assert_int_equal(table.count, 2);
    assert_null(site_table_find(&table, START));
}

static void child_of_nothing(void **state)
{
    (void)state;
    assert_int_equal(site_table_inherit(&child, &table), 0);
    assert_int_equal(child.count, 0);
    assert_null(site_table_find(&child, START));
}

static bool holds(const struct patched_site *site, uint64_t addr)
{
    return addr - site->patch.start < site->patch.length;
}

static uint64_t page_of(const struct patched_site *site)
{
    return site->patch.start / PAGE;
}

/* As the table says it, by looking at all of them. */
static void check_found(uint64_t addr)
{
    const struct patched_site *found = site_table_find(&table, addr);
    bool any = false;

    for (uint32_t i = 0; i < table.count; i++) {
        const struct patched_site *site = &table.sites[i];

        if (!holds(site, addr))
            continue;
        any = true;
        assert_non_null(found);
        if (!site->undone)
            assert_ptr_equal(found, site);
        else if (found->undone && page_of(found) == page_of(site))
            assert_true(found >= site);
    }
    assert_int_equal(found != NULL, any);
    if (found)
        assert_true(holds(found, addr));
}

static bool is_free(uint64_t start, uint32_t length)
{
    for (uint64_t addr = start; addr < start + length; addr++) {
        const struct patched_site *site = site_table_find(&table, addr);

        if (site && !site->undone)
            return false;
    }
    return true;
}

/* Sites come and go at random, close to each other and to the edges of four pages. */
static void random_sites(void **state)
{
    (void)state;
    srand(815);
    for (int i = 0; i < 2000; i++) {
        const uint64_t page = START + (uint64_t)(rand() % 4) * PAGE;
        const uint64_t start = page + PAGE - 40 + (uint64_t)(rand() % 80);
        const uint32_t length = 7 + (uint32_t)rand() % (ARCH_PATCH_BYTES - 6);

        if (rand() % 8 == 0 && patched_page_of(&table.pages, start))
            site_table_undo_page(&table, start);
        else if (site_table_has_number(&table, start) && is_free(start, length))
            add_live(start, length);
        check_found(page + PAGE - 40 + (uint64_t)(rand() % 120));
    }
    assert_in_range(table.count, 500, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_of_a_site, begin, end),
        cmocka_unit_test_setup_teardown(site_in_two_pages, begin, end),
        cmocka_unit_test_setup_teardown(sites_that_touch, begin, end),
        cmocka_unit_test_setup_teardown(undone_and_live, begin, end),
        cmocka_unit_test_setup_teardown(made_up_addresses, begin, end),
        cmocka_unit_test_setup_teardown(ends_of_the_address_space, begin, end),
        cmocka_unit_test_setup_teardown(bounds, begin, end),
        cmocka_unit_test_setup_teardown(undoing_counts, begin, end),
        cmocka_unit_test_setup_teardown(children, begin, end),
        cmocka_unit_test_setup_teardown(child_of_nothing, begin, end),
        cmocka_unit_test_setup_teardown(random_sites, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
