/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a platform remembers of files: what it counts, what it gives back, and what goes when there is too much. */
#include "unit.h"

#include "core/systrap/patching/site_memory.h"

#define LENGTH (1u << 20)

static struct site_memory memory;

static int begin(void **state)
{
    (void)state;
    site_memory_init(&memory);
    return 0;
}

static int end(void **state)
{
    (void)state;
    site_memory_destroy(&memory);
    return 0;
}

static struct file_identity file_of(uint64_t inode)
{
    return (struct file_identity){.device = 3, .inode = inode, .size = LENGTH, .changed_s = 5, .changed_ns = 7};
}

static void learn(const struct file_identity *file, uint64_t offset, uint32_t starts)
{
    const struct remembered_site site = {.offset = offset, .nr = offset + 1, .starts = starts, .length = 2};

    site_memory_learn(&memory, file, &site);
}

/* As in a mapping of the whole file, which is new. */
static size_t map(const struct file_identity *file, uint64_t from, uint64_t length, struct remembered_site *sites)
{
    struct code_file mapped = {.start = 0x400000, .end = 0x400000 + length, .offset = from, .identity = *file};

    return site_memory_map(&memory, &mapped, sites);
}

static void counts_until_it_is_known(void **state)
{
    const struct file_identity file = file_of(1);

    (void)state;
    for (int i = 1; i < CALLS_REMEMBERED; i++)
        assert_false(site_memory_count(&memory, &file, 100));
    assert_true(site_memory_count(&memory, &file, 100));
    assert_true(site_memory_count(&memory, &file, 100));
    assert_false(site_memory_count(&memory, &file, 101));
    learn(&file, 100, 0);
    for (int i = 0; i < 3 * CALLS_REMEMBERED; i++)
        assert_false(site_memory_count(&memory, &file, 100));
}

static void gives_what_is_mapped(void **state)
{
    struct remembered_site sites[SITES_REMEMBERED];
    const struct file_identity file = file_of(1);
    struct file_identity other = file;

    (void)state;
    learn(&file, 300, 4);
    learn(&file, 100, 4);
    learn(&file, 200, 4);
    learn(&file, 250, 0);
    learn(&file, 200, 8);
    assert_int_equal(map(&file, 0, LENGTH, sites), 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(sites[i].offset, 100 * (i + 1));
    assert_int_equal(sites[1].starts, 8);
    assert_int_equal(sites[1].nr, 201);
    assert_int_equal(map(&file, 100, 200, sites), 2);
    other.changed_ns++;
    assert_int_equal(map(&other, 0, LENGTH, sites), 0);
    other = file;
    other.size++;
    assert_int_equal(map(&other, 0, LENGTH, sites), 0);
    other = file;
    other.device++;
    assert_int_equal(map(&other, 0, LENGTH, sites), 0);
}

/* A mapping that is looked at again gets something only when there is something new. */
static void tells_news_alone(void **state)
{
    struct remembered_site sites[SITES_REMEMBERED];
    const struct file_identity file = file_of(1);
    struct code_file mapped = {.end = LENGTH, .identity = file};
    const uint32_t learned = site_memory_learned(&memory);

    (void)state;
    learn(&file, 100, 4);
    assert_int_not_equal(site_memory_learned(&memory), learned);
    assert_int_equal(site_memory_map(&memory, &mapped, sites), 1);
    assert_int_equal(site_memory_map(&memory, &mapped, sites), 0);
    learn(&file, 200, 4);
    assert_int_equal(site_memory_map(&memory, &mapped, sites), 2);
}

static void sites_are_bounded(void **state)
{
    struct remembered_site sites[SITES_REMEMBERED];
    const struct file_identity file = file_of(1);
    uint32_t again = 0;

    (void)state;
    for (uint64_t i = 0; i < 10 * SITES_REMEMBERED; i++)
        learn(&file, 50 * i, 4);
    assert_int_equal(map(&file, 0, LENGTH, sites), SITES_REMEMBERED);
    for (uint32_t i = 0; i + 1 < SITES_REMEMBERED; i++)
        assert_true(sites[i].offset < sites[i + 1].offset);
    /* Those that have gone can come back. */
    for (uint64_t i = 0; i < 10 * SITES_REMEMBERED; i++) {
        for (int call = 0; call < CALLS_REMEMBERED; call++)
            again += site_memory_count(&memory, &file, 50 * i);
    }
    assert_true(again >= 8 * SITES_REMEMBERED);
}

static void files_in_use_stay(void **state)
{
    struct remembered_site sites[SITES_REMEMBERED];
    const struct file_identity common = file_of(1);

    (void)state;
    learn(&common, 100, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(map(&common, 0, LENGTH, sites), 1);
    for (uint64_t i = 2; i < 10 * FILES_REMEMBERED; i++) {
        const struct file_identity file = file_of(i);

        learn(&file, 100, 4);
        assert_int_equal(map(&file, 0, LENGTH, sites), 1);
    }
    assert_int_equal(map(&common, 0, LENGTH, sites), 1);
    for (uint64_t i = 2, found = 0; i < 10 * FILES_REMEMBERED; i++) {
        const struct file_identity file = file_of(i);

        found += map(&file, 0, LENGTH, sites);
        assert_true(found < FILES_REMEMBERED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_until_it_is_known, begin, end),
        cmocka_unit_test_setup_teardown(gives_what_is_mapped, begin, end),
        cmocka_unit_test_setup_teardown(tells_news_alone, begin, end),
        cmocka_unit_test_setup_teardown(sites_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(files_in_use_stay, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
