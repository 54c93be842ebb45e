/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The window against a guest of four pages, of which the last cannot be read. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "memory/guest_copy.h"
#include "memory/guest_window.h"

#define BASE     UINT64_C(0x10000)
#define PAGE     GUEST_WINDOW_SIZE
#define READABLE (3 * PAGE)

static char guest[READABLE];
static unsigned int copies;

/* In place of the kernel's own. */
size_t guest_read_some(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    (void)subprocess;
    copies++;
    if (addr < BASE || addr >= BASE + READABLE)
        return 0;
    if (length > BASE + READABLE - addr)
        length = (size_t)(BASE + READABLE - addr);
    memcpy(buffer, guest + (addr - BASE), length);
    return length;
}

static struct guest_window *new_window(void)
{
    static struct guest_window window;

    copies = 0;
    for (size_t i = 0; i < READABLE; i++)
        guest[i] = (char)('a' + i % 25);
    guest_window_open(&window, NULL);
    return &window;
}

static void things_side_by_side_come_in_one_copy(void **state)
{
    struct guest_window *window = new_window();
    uint64_t value;
    char text[8];

    (void)state;
    guest[20] = '\0';
    for (uint64_t i = 0; i < PAGE / 8; i++) {
        assert_int_equal(guest_window_read_u64(window, BASE + 8 * i, &value), 0);
        assert_memory_equal(&value, guest + 8 * i, 8);
    }
    assert_int_equal(guest_window_read_string(window, BASE + 15, text, sizeof(text)), 5);
    assert_string_equal(text, guest + 15);
    assert_int_equal(copies, 1);
}

static void a_border_in_the_middle_costs_one_more(void **state)
{
    struct guest_window *window = new_window();
    char text[64];
    uint64_t value;

    (void)state;
    for (uint64_t before = 1; before < 8; before++) {
        assert_int_equal(guest_window_read_u64(window, BASE + PAGE - before, &value), 0);
        assert_memory_equal(&value, guest + PAGE - before, 8);
    }
    guest[PAGE + 10] = '\0';
    guest_window_open(window, NULL);
    copies = 0;
    assert_int_equal(guest_window_read_string(window, BASE + PAGE - 20, text, sizeof(text)), 30);
    assert_string_equal(text, guest + PAGE - 20);
    assert_int_equal(copies, 2);
}

static void nothing_is_read_beyond_the_end(void **state)
{
    struct guest_window *window = new_window();
    char text[2 * PAGE];
    uint64_t value;

    (void)state;
    assert_int_equal(guest_window_read_u64(window, BASE + READABLE - 8, &value), 0);
    assert_int_equal(guest_window_read_u64(window, BASE + READABLE - 7, &value), -EFAULT);
    assert_int_equal(guest_window_read_u64(window, BASE - 1, &value), -EFAULT);
    assert_int_equal(guest_window_read_u64(window, UINT64_MAX - 3, &value), -EFAULT);
    assert_int_equal(guest_window_read_string(window, BASE + READABLE - 5, text, sizeof(text)), -EFAULT);
    assert_int_equal(guest_window_read_string(window, BASE + READABLE, text, sizeof(text)), -EFAULT);
    /* What could not be read before can be read now. */
    assert_int_equal(guest_window_read_u64(window, BASE, &value), 0);
}

static void a_string_ends_where_the_buffer_does(void **state)
{
    struct guest_window *window = new_window();
    char text[PAGE + 100];

    (void)state;
    assert_int_equal(guest_window_read_string(window, BASE + 10, text, sizeof(text)), -ENAMETOOLONG);
    guest[10 + sizeof(text)] = '\0';
    guest_window_open(window, NULL);
    assert_int_equal(guest_window_read_string(window, BASE + 10, text, sizeof(text)), -ENAMETOOLONG);
    guest[10 + sizeof(text) - 1] = '\0';
    guest_window_open(window, NULL);
    assert_int_equal(guest_window_read_string(window, BASE + 10, text, sizeof(text)), (int)sizeof(text) - 1);
    assert_memory_equal(text, guest + 10, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_side_by_side_come_in_one_copy),
        cmocka_unit_test(a_border_in_the_middle_costs_one_more),
        cmocka_unit_test(nothing_is_read_beyond_the_end),
        cmocka_unit_test(a_string_ends_where_the_buffer_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
