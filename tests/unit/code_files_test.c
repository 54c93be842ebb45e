/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which addresses are a file's code still, after whatever else was mapped. */
#include "unit.h"

#include "core/systrap/patching/code_files.h"

#define PAGE 0x1000u

static struct code_files files;

static int begin(void **state)
{
    (void)state;
    files = (struct code_files){0};
    return 0;
}

static void add(uint64_t start, uint64_t pages, uint64_t inode)
{
    const struct code_file file = {
        .start = start, .end = start + pages * PAGE, .offset = 7 * PAGE, .identity = {.inode = inode}};

    code_files_add(&files, &file);
}

static uint64_t inode_at(uint64_t addr)
{
    const struct code_file *file = code_files_find(&files, addr);

    return file ? file->identity.inode : 0;
}

static void holds_what_was_mapped(void **state)
{
    (void)state;
    add(0x10000, 4, 1);
    add(0x20000, 1, 2);
    assert_int_equal(inode_at(0xffff), 0);
    assert_int_equal(inode_at(0x10000), 1);
    assert_int_equal(inode_at(0x13fff), 1);
    assert_int_equal(inode_at(0x14000), 0);
    assert_int_equal(inode_at(0x20fff), 2);
}

/* What lies in front of a change stays, at its offset. */
static void loses_what_is_changed(void **state)
{
    (void)state;
    add(0x10000, 4, 1);
    code_files_cut(&files, 0x12000, 0x13000);
    assert_int_equal(inode_at(0x11fff), 1);
    assert_int_equal(code_files_find(&files, 0x11fff)->offset, 7 * PAGE);
    assert_int_equal(inode_at(0x12000), 0);
    assert_int_equal(inode_at(0x13000), 0);
    code_files_cut(&files, 0, 0x10001);
    assert_int_equal(inode_at(0x10000), 0);
    code_files_cut(&files, 0, UINT64_MAX);
    assert_int_equal(inode_at(0x11000), 0);
}

/* Of more than there is room for the newest are known, and none goes while others are of no use. */
static void is_bounded(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3 * CODE_FILES; i++)
        add(i * 0x10000, 1, i);
    for (uint64_t i = 2 * CODE_FILES + 1; i <= 3 * CODE_FILES; i++)
        assert_int_equal(inode_at(i * 0x10000), i);
    for (int i = 0; i < 3 * CODE_FILES; i++) {
        code_files_cut(&files, 0x30000000, 0x30001000);
        code_files_cut(&files, (2 * CODE_FILES + 1) * 0x10000, (2 * CODE_FILES + 1) * 0x10000 + 1);
        add(0x30000000, 1, 1000);
    }
    assert_int_equal(inode_at(0x30000000), 1000);
    for (uint64_t i = 2 * CODE_FILES + 2; i <= 3 * CODE_FILES; i++)
        assert_int_equal(inode_at(i * 0x10000), i);
    assert_int_equal(files.count, CODE_FILES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(holds_what_was_mapped, begin),
        cmocka_unit_test_setup(loses_what_is_changed, begin),
        cmocka_unit_test_setup(is_bounded, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
