/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How often calls come from one place, and how often they must. */
#include "unit.h"

#include "core/systrap/patching/site_heat.h"

#define PAGE      0x1000u
#define START     0x7fff12340000u
#define ELSEWHERE (START + 0x101000u)
#define BEFORE    24u
#define BEHIND    21u

static struct heat_map map;
static struct site_table table;

static int begin(void **state)
{
    (void)state;
    map = (struct heat_map){0};
    site_table_init(&table, PAGE, 1000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    site_table_destroy(&table);
    return 0;
}

static void make_hot(uint64_t ip)
{
    for (uint32_t i = 1; i < CALLS_HOT; i++)
        assert_false(heat_count(&map, ip));
    assert_true(heat_count(&map, ip));
}

static void cool(uint64_t start, uint64_t end_addr)
{
    heat_cool(&map, start, end_addr, BEFORE, BEHIND);
}

static void hot_after_some_calls(void **state)
{
    (void)state;
    make_hot(START);
    assert_true(heat_count(&map, START));
    heat_of(&map, START)->wanted = 10;
    for (uint32_t calls = CALLS_HOT + 2; calls < 10; calls++)
        assert_false(heat_count(&map, START));
    assert_true(heat_count(&map, START));
}

static void settled_stays_so(void **state)
{
    (void)state;
    make_hot(START);
    heat_of(&map, START)->calls = CALLS_SETTLED;
    for (int i = 0; i < 100; i++)
        assert_false(heat_count(&map, START));
    assert_int_equal(heat_of(&map, START)->calls, CALLS_SETTLED);
}

/* Two sites in one place of the map: neither gets hot by the calls of the other. */
static void taking_turns(void **state)
{
    (void)state;
    uint64_t other = START + 1;

    while (heat_of(&map, other) != heat_of(&map, START))
        other++;
    for (int i = 0; i < 100; i++) {
        assert_false(heat_count(&map, START));
        assert_false(heat_count(&map, other));
    }
    make_hot(START);
    assert_false(heat_is_hot(heat_of(&map, other), other));
}

/* A guest makes up where its calls come from. */
static void made_up_places(void **state)
{
    (void)state;
    static const uint64_t ips[] = {0, 1, UINT64_MAX, UINT64_MAX - 4096, INT64_MAX, UINT64_C(1) << 47};

    for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
        for (int calls = 0; calls < 10; calls++)
            heat_count(&map, ips[i]);
        cool(0, UINT64_C(1) << 47);
    }
    make_hot(START);
    cool(START - PAGE, START);
    assert_false(heat_is_hot(heat_of(&map, START), START));
    make_hot(START);
}

/* Operations near a call make it count anew, others do not. */
static void cooling(void **state)
{
    (void)state;
    make_hot(START);
    heat_count(&map, ELSEWHERE);
    cool(START + BEHIND, START + PAGE);
    cool(START - PAGE, START - BEFORE);
    cool(START + 0x200000, START + 0x300000);
    cool(0, PAGE);
    assert_true(heat_is_hot(heat_of(&map, START), START));
    cool(START + BEHIND - 1, START + PAGE);
    assert_false(heat_is_hot(heat_of(&map, START), START));
    make_hot(START);
    cool(START - PAGE, START - BEFORE + 1);
    assert_false(heat_is_hot(heat_of(&map, START), START));
    assert_int_equal(heat_of(&map, ELSEWHERE)->calls, 1);
    heat_of(&map, ELSEWHERE)->calls = CALLS_SETTLED;
    cool(0, UINT64_C(1) << 47);
    make_hot(ELSEWHERE);
}

static void add_undone(uint64_t start)
{
    const struct arch_patch patch = {.start = start, .length = 7};

    assert_true(site_table_reserve(&table, &patch));
    assert_non_null(site_table_add(&table, &patch));
}

/* Code that does not rest has to call ever more, and no number of calls ever overflows. */
static void more_each_time(void **state)
{
    (void)state;
    uint32_t wanted = CALLS_HOT;
    uint32_t undoings = 0;

    add_undone(START);
    while (wanted == CALLS_HOT) {
        site_table_undo_page(&table, START);
        wanted = heat_wanted(&table, START);
        undoings++;
    }
    assert_int_equal(undoings, 512);
    for (int i = 0; i < 100; i++) {
        const uint32_t before = wanted;

        site_table_undo_page(&table, START);
        wanted = heat_wanted(&table, START);
        assert_true(wanted == 2 * before || wanted == before);
    }
    assert_int_equal(wanted, CALLS_HOT << 20);
    assert_int_equal(heat_wanted(&table, START + PAGE), CALLS_HOT);
}

/* When half of the trampolines belong to sites that are gone, pages that have changed get none of the others. */
static void half_for_others(void **state)
{
    (void)state;
    add_undone(START);
    site_table_undo_page(&table, START);
    for (uint32_t i = 1; i < 500; i++) {
        assert_int_equal(heat_wanted(&table, START), CALLS_HOT);
        add_undone(START + i * PAGE);
    }
    assert_int_equal(heat_wanted(&table, START), CALLS_SETTLED);
    assert_int_equal(heat_wanted(&table, START + PAGE), CALLS_HOT);
    site_table_set_live(&table, 7, true);
    assert_int_equal(heat_wanted(&table, START), CALLS_HOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hot_after_some_calls, begin, end),
        cmocka_unit_test_setup_teardown(settled_stays_so, begin, end),
        cmocka_unit_test_setup_teardown(taking_turns, begin, end),
        cmocka_unit_test_setup_teardown(made_up_places, begin, end),
        cmocka_unit_test_setup_teardown(cooling, begin, end),
        cmocka_unit_test_setup_teardown(more_each_time, begin, end),
        cmocka_unit_test_setup_teardown(half_for_others, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
