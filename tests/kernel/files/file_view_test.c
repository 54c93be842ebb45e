/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which large reads are answered from a mapping of the file. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "files/file_view.h"

#define LARGE 65536
#define AGAIN 20

static int make_file(int64_t size)
{
    char name[] = "file_view_test.XXXXXX";
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(pwrite(fd, "first", 5, 0), 5);
    return fd;
}

/* The last answer of many. */
static const unsigned char *look_again(struct file_view *view, int fd, int64_t offset)
{
    const unsigned char *bytes = NULL;

    for (int i = 0; i < AGAIN; i++)
        bytes = file_view_find(view, fd, offset, LARGE);
    return bytes;
}

static void reads_of_the_same_place(void **state)
{
    int fd = make_file(2 * FILE_VIEW_SIZE);
    struct file_view view = {0};
    const unsigned char *bytes;

    (void)state;
    assert_null(file_view_find(&view, fd, 0, LARGE));
    assert_null(file_view_find(&view, fd, 0, LARGE));
    bytes = look_again(&view, fd, 0);
    if (view.refused) {
        printf("skipped: this folder's file system is none that is mapped\n");
        skip();
    }
    assert_non_null(bytes);
    assert_memory_equal(bytes, "first", 5);
    assert_int_equal(pwrite(fd, "other", 5, 100), 5);
    assert_memory_equal(file_view_find(&view, fd, 100, LARGE), "other", 5);
    /* Over its end, short, and behind the file's end. */
    assert_null(file_view_find(&view, fd, FILE_VIEW_SIZE - 1, LARGE));
    assert_null(file_view_find(&view, fd, 0, FILE_VIEW_LEAST - 1));
    assert_int_equal(ftruncate(fd, LARGE - 1), 0);
    assert_null(file_view_find(&view, fd, 0, LARGE));
    assert_int_equal(ftruncate(fd, 2 * FILE_VIEW_SIZE), 0);
    assert_non_null(file_view_find(&view, fd, 0, LARGE));
    /* Another part takes its place once that is read again and again. */
    assert_null(file_view_find(&view, fd, FILE_VIEW_SIZE, LARGE));
    assert_non_null(file_view_find(&view, fd, 0, LARGE));
    assert_non_null(look_again(&view, fd, FILE_VIEW_SIZE));
    assert_null(file_view_find(&view, fd, 0, LARGE));
    file_view_close(&view);
    close(fd);
}

static void reads_that_do_not_come_again(void **state)
{
    int fd = make_file(2 * FILE_VIEW_SIZE);
    struct file_view view = {0};

    (void)state;
    for (int64_t offset = 0; offset < 2 * FILE_VIEW_SIZE; offset += LARGE)
        assert_null(file_view_find(&view, fd, offset, LARGE));
    for (int i = 0; i < 2 * AGAIN; i++)
        assert_null(file_view_find(&view, fd, i % 2 * FILE_VIEW_SIZE, LARGE));
    assert_null(view.bytes);
    assert_false(view.refused);
    close(fd);
}

/* A sealed file in memory must not have a shared mapping, a device has no bytes, and this one is not to be read. */
static void files_that_are_refused(void **state)
{
    const int files[] = {memfd_create("memory", MFD_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC),
                         open("file_view_test.out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};

    (void)state;
    unlink("file_view_test.out");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct file_view view = {0};

        assert_true(files[i] >= 0);
        assert_null(look_again(&view, files[i], 0));
        assert_true(view.refused);
        close(files[i]);
    }
}

static void many_come_and_go(void **state)
{
    int fd = make_file(FILE_VIEW_SIZE);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct file_view view = {0};
        const unsigned char *bytes = look_again(&view, fd, 0);

        assert_true(bytes != NULL || view.refused);
        if (i == 0 && view.refused)
            skip();
        assert_non_null(bytes);
        file_view_close(&view);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_of_the_same_place),
        cmocka_unit_test(reads_that_do_not_come_again),
        cmocka_unit_test(files_that_are_refused),
        cmocka_unit_test(many_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
