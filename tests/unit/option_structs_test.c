/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Structs whose size the caller states: shorter ones, longer ones, impossible ones, and nothing beside them touched. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "abi/option_structs.h"

#define KNOWN     16 /* what the library knows of the struct */
#define ROOM      (OPTION_STRUCT_MAX + 8)
#define UNTOUCHED 0xa5

static unsigned char callers[ROOM];

/* A struct of the caller's with its size, then bytes that tell their places. */
static void state_size(uint32_t size)
{
    for (size_t i = 0; i < sizeof(callers); i++)
        callers[i] = (unsigned char)(i + 1);
    memcpy(callers, &size, sizeof(size));
}

/* The same with zeros behind what the library knows. */
static void state_size_of_newer(uint32_t size)
{
    state_size(size);
    memset(callers + KNOWN, 0, sizeof(callers) - KNOWN);
}

static void expect_all(const unsigned char *bytes, size_t from, size_t to, unsigned char value)
{
    for (size_t i = from; i < to; i++)
        assert_int_equal(bytes[i], value);
}

static void sizes_outside_the_limits_are_refused(void **state)
{
    (void)state;
    for (uint32_t size = 0; size < 12; size++) {
        state_size(size);
        assert_int_equal(option_struct_check(callers, 12, KNOWN), -EINVAL);
    }
    state_size_of_newer(OPTION_STRUCT_MAX + 1);
    assert_int_equal(option_struct_check(callers, 4, KNOWN), -EINVAL);
    state_size_of_newer(UINT32_MAX);
    assert_int_equal(option_struct_check(callers, 4, KNOWN), -EINVAL);
}

static void sizes_at_the_limits_are_accepted(void **state)
{
    (void)state;
    state_size(12);
    assert_int_equal(option_struct_check(callers, 12, KNOWN), 0);
    state_size(KNOWN);
    assert_int_equal(option_struct_check(callers, 12, KNOWN), 0);
    state_size_of_newer(OPTION_STRUCT_MAX);
    assert_int_equal(option_struct_check(callers, 12, KNOWN), 0);
}

static void every_unknown_byte_must_be_zero(void **state)
{
    (void)state;
    for (size_t i = KNOWN; i < KNOWN + 8; i++) {
        state_size_of_newer(KNOWN + 8);
        callers[i] = 1;
        assert_int_equal(option_struct_check(callers, 4, KNOWN), -E2BIG);
    }
    state_size_of_newer(KNOWN + 8);
    callers[KNOWN + 8] = 1; /* not the struct's any more */
    assert_int_equal(option_struct_check(callers, 4, KNOWN), 0);
}

static void reading_fills_up_with_zeros(void **state)
{
    unsigned char ours[KNOWN + 1];

    (void)state;
    for (uint32_t size = 4; size <= KNOWN; size++) {
        state_size(size);
        memset(ours, UNTOUCHED, sizeof(ours));
        assert_int_equal(option_struct_read(ours, KNOWN, callers), 0);
        assert_memory_equal(ours, callers, size);
        expect_all(ours, size, KNOWN, 0);
        assert_int_equal(ours[KNOWN], UNTOUCHED);
    }
}

static void reading_cuts_a_newer_struct(void **state)
{
    unsigned char ours[KNOWN + 1];

    (void)state;
    memset(ours, UNTOUCHED, sizeof(ours));
    state_size_of_newer(KNOWN + 8);
    assert_int_equal(option_struct_read(ours, KNOWN, callers), 0);
    assert_memory_equal(ours, callers, KNOWN);
    assert_int_equal(ours[KNOWN], UNTOUCHED);
}

static void a_refused_struct_is_not_read(void **state)
{
    unsigned char ours[KNOWN];

    (void)state;
    memset(ours, UNTOUCHED, sizeof(ours));
    state_size(3);
    assert_int_equal(option_struct_read(ours, KNOWN, callers), -EINVAL);
    state_size(KNOWN + 1);
    assert_int_equal(option_struct_read(ours, KNOWN, callers), -E2BIG);
    expect_all(ours, 0, sizeof(ours), UNTOUCHED);
}

static void writing_stays_within_the_stated_size(void **state)
{
    unsigned char ours[KNOWN];

    (void)state;
    memset(ours, 0x11, sizeof(ours));
    for (uint32_t size = 4; size <= KNOWN + 8; size++) {
        const size_t copied = size < KNOWN ? size : KNOWN;
        uint32_t stated;

        memset(callers, UNTOUCHED, sizeof(callers));
        memcpy(callers, &size, sizeof(size));
        option_struct_write(callers, ours, KNOWN);
        memcpy(&stated, callers, sizeof(stated));
        assert_int_equal(stated, size);
        expect_all(callers, sizeof(stated), copied, 0x11);
        expect_all(callers, copied, size, 0);
        expect_all(callers, size, size + 8, UNTOUCHED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_outside_the_limits_are_refused), cmocka_unit_test(sizes_at_the_limits_are_accepted),
        cmocka_unit_test(every_unknown_byte_must_be_zero),      cmocka_unit_test(reading_fills_up_with_zeros),
        cmocka_unit_test(reading_cuts_a_newer_struct),          cmocka_unit_test(a_refused_struct_is_not_read),
        cmocka_unit_test(writing_stays_within_the_stated_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
