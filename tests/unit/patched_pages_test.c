/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Records of patched pages, and the numbers of code pages. */
#include "unit.h"

#include <stdlib.h>

#include "core/systrap/patching/patched_pages.h"

#define PAGE 0x1000u

static struct patched_pages mother;
static struct patched_pages child;

static int begin(void **state)
{
    (void)state;
    patched_pages_init(&mother, PAGE);
    patched_pages_init(&child, PAGE);
    return 0;
}

static int end(void **state)
{
    (void)state;
    patched_pages_destroy(&mother);
    patched_pages_destroy(&child);
    return 0;
}

/* In any order they are made: by address, each once, and found. */
static void records(void **state)
{
    (void)state;
    srand(4711);
    for (int i = 0; i < 5000; i++) {
        const uint64_t addr = (uint64_t)(rand() % 1000) * PAGE;
        const struct patched_page *page = patched_page_get(&mother, addr);

        assert_non_null(page);
        assert_int_equal(page->addr, addr);
        assert_ptr_equal(patched_page_of(&mother, addr), page);
        assert_ptr_equal(patched_page_of(&mother, addr + PAGE - 1), page);
        assert_ptr_equal(patched_page_get(&mother, addr + (uint64_t)(rand() % (int)PAGE)), page);
    }
    assert_in_range(mother.count, 900, 1000);
    for (uint32_t i = 1; i < mother.count; i++)
        assert_true(mother.records[i - 1].addr < mother.records[i].addr);
    assert_null(patched_page_of(&mother, 1000 * PAGE));
    assert_int_equal(patched_pages_from(&mother, 1000 * PAGE), mother.count);
    assert_int_equal(patched_pages_from(&mother, 0), 0);
}

/* It may say too much, and never too little. */
static void filter(void **state)
{
    (void)state;
    assert_false(patched_pages_maybe(&mother, 0x7fff00001000, 64 * PAGE));
    assert_non_null(patched_page_get(&mother, 0x7fff00003000));
    assert_true(patched_pages_maybe(&mother, 0x7fff00003fff, 1));
    assert_false(patched_pages_maybe(&mother, 0x7fff00002fff, 1));
    assert_true(patched_pages_maybe(&mother, 0x7fff00002fff, 2));
    assert_false(patched_pages_maybe(&mother, 0x7fff00004000, 100 * PAGE));
    assert_true(patched_pages_maybe(&mother, 0x10000, FILTER_BITS * PAGE));
}

static void code_numbers(void **state)
{
    (void)state;
    uint32_t last = NO_PAGE;

    assert_int_equal(patched_pages_take_codes(&mother, 1), 0);
    assert_int_equal(patched_pages_take_codes(&mother, 2), 1);
    patched_pages_free_code(&mother, 1);
    assert_int_equal(patched_pages_take_codes(&mother, 2), 3);
    assert_int_equal(patched_pages_take_codes(&mother, 1), 1);
    for (uint32_t code = patched_pages_take_codes(&mother, 1); code != NO_PAGE;
         code = patched_pages_take_codes(&mother, 1))
        last = code;
    assert_int_equal(last, CODE_PAGES - 1);
    assert_int_equal(patched_pages_codes_left(&mother), 0);
    patched_pages_free_code(&mother, NO_PAGE);
    patched_pages_free_code(&mother, 7);
    assert_int_equal(patched_pages_take_codes(&mother, 2), NO_PAGE);
    assert_int_equal(patched_pages_take_codes(&mother, 1), 7);
}

/* What a child has mapped is never written again, and the child's own numbers are its own. */
static void shared_code(void **state)
{
    (void)state;
    struct patched_page *page = patched_page_get(&mother, 5 * PAGE);

    page->code = patched_pages_take_codes(&mother, 1);
    page->aside = patched_pages_take_aside(&mother);
    assert_int_equal(patched_pages_inherit(&child, &mother), 0);
    patched_pages_free_code(&mother, 0);
    assert_int_equal(patched_pages_take_codes(&mother, 1), 1);
    patched_pages_free_code(&mother, 1);
    assert_int_equal(patched_pages_take_codes(&mother, 1), 1);
    assert_int_equal(patched_page_of(&child, 5 * PAGE)->code, NO_PAGE);
    assert_int_equal(patched_page_of(&child, 5 * PAGE)->aside, 0);
    assert_int_equal(patched_pages_take_aside(&child), 1);
    assert_int_equal(patched_pages_take_codes(&child, 1), 0);
    assert_true(patched_pages_maybe(&child, 5 * PAGE, 1));
}

/* As long as there is room, what is patched can be undone. */
static void room(void **state)
{
    (void)state;
    uint32_t sites = 0;

    while (patched_pages_room(&mother, 1, 3)) {
        assert_int_not_equal(patched_pages_take_aside(&mother), NO_PAGE);
        assert_int_not_equal(patched_pages_take_codes(&mother, 2), NO_PAGE);
        mother.crossings++;
        sites++;
    }
    assert_int_equal(sites, ASIDE_PAGES);
    assert_true(patched_pages_room(&mother, 0, 1));
    assert_false(patched_pages_room(&mother, 1, 1));
    assert_true(patched_pages_codes_left(&mother) >= mother.crossings);
    while (patched_pages_room(&mother, 0, 1))
        patched_pages_take_codes(&mother, 1);
    assert_true(patched_pages_codes_left(&mother) >= mother.crossings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records, begin, end),
        cmocka_unit_test_setup_teardown(filter, begin, end),
        cmocka_unit_test_setup_teardown(code_numbers, begin, end),
        cmocka_unit_test_setup_teardown(shared_code, begin, end),
        cmocka_unit_test_setup_teardown(room, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
