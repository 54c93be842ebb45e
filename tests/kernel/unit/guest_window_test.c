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

static size_t read_some(uint64_t addr, void *buffer, size_t length)
{
    if (addr < BASE || addr >= BASE + READABLE)
        return 0;
    if (length > BASE + READABLE - addr)
        length = (size_t)(BASE + READABLE - addr);
    memcpy(buffer, guest + (addr - BASE), length);
    return length;
}

/* In place of the kernel's own. */
size_t guest_read_some(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    (void)subprocess;
    copies++;
    return read_some(addr, buffer, length);
}

int guest_transfer(tg_subprocess *subprocess, tg_transfer *ranges, size_t count)
{
    (void)subprocess;
    copies++;
    for (size_t i = 0; i < count; i++) {
        ranges[i].done = read_some(ranges[i].addr, ranges[i].buffer, ranges[i].length);
        if (ranges[i].done < ranges[i].length)
            return -EFAULT;
    }
    return 0;
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

static void what_is_looked_at_ahead_costs_one_copy(void **state)
{
    const uint64_t addresses[] = {BASE + 20, BASE + PAGE + 8, BASE + 2 * PAGE};
    static struct guest_window others[2];
    struct guest_window *windows[] = {new_window(), &others[0], &others[1]};
    uint64_t value;

    (void)state;
    guest_window_open(&others[0], NULL);
    guest_window_open(&others[1], NULL);
    guest_windows_look_ahead(windows, addresses, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(guest_window_read_u64(windows[i], addresses[i], &value), 0);
        assert_memory_equal(&value, guest + (addresses[i] - BASE), 8);
    }
    assert_int_equal(copies, 1);
}

/* Those behind a block that cannot be read are read when they are asked for. */
static void what_cannot_be_looked_at_ahead_is_asked_for(void **state)
{
    const uint64_t addresses[] = {BASE, 0, BASE + PAGE};
    static struct guest_window others[2];
    struct guest_window *windows[] = {new_window(), &others[0], &others[1]};
    uint64_t value;

    (void)state;
    guest_window_open(&others[0], NULL);
    guest_window_open(&others[1], NULL);
    guest_windows_look_ahead(windows, addresses, 3);
    assert_int_equal(guest_window_read_u64(windows[0], BASE, &value), 0);
    assert_int_equal(guest_window_read_u64(windows[1], 0, &value), -EFAULT);
    assert_int_equal(guest_window_read_u64(windows[2], BASE + PAGE, &value), 0);
    assert_memory_equal(&value, guest + PAGE, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_side_by_side_come_in_one_copy),
        cmocka_unit_test(a_border_in_the_middle_costs_one_more),
        cmocka_unit_test(nothing_is_read_beyond_the_end),
        cmocka_unit_test(a_string_ends_where_the_buffer_does),
        cmocka_unit_test(what_is_looked_at_ahead_costs_one_copy),
        cmocka_unit_test(what_cannot_be_looked_at_ahead_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
