/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The descriptor table against the plainest model of one. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "files/fd_table.h"

#define LIMIT 100

struct model {
    const struct file *files[LIMIT];
    bool close_on_exec[LIMIT];
};

static struct file *open_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct file *file;

    assert_true(fd >= 0);
    file = file_create(fd, O_RDWR, FILE_PLAIN);
    assert_non_null(file);
    return file;
}

static int model_add(struct model *model, const struct file *file, uint32_t lowest, bool close_on_exec)
{
    for (uint32_t fd = lowest; fd < LIMIT; fd++) {
        if (model->files[fd] != NULL)
            continue;
        model->files[fd] = file;
        model->close_on_exec[fd] = close_on_exec;
        return (int)fd;
    }
    return -EMFILE;
}

static void assert_same(const struct fd_table *table, const struct model *model)
{
    for (uint32_t fd = 0; fd < LIMIT; fd++) {
        assert_ptr_equal(fd_table_file(table, fd), model->files[fd]);
        if (model->files[fd] != NULL)
            assert_int_equal(table->slots[fd].close_on_exec, model->close_on_exec[fd]);
    }
}

static void one_change(struct fd_table *table, struct model *model, struct file *file)
{
    uint32_t fd = (uint32_t)rand() % LIMIT;
    bool close_on_exec = rand() % 2 == 0;

    switch (rand() % 5) {
    case 0:
    case 1:
        fd = rand() % 2 == 0 ? 0 : fd;
        assert_int_equal(fd_table_add(table, file_get(file), fd, LIMIT, close_on_exec),
                         model_add(model, file, fd, close_on_exec));
        break;
    case 2:
        assert_int_equal(fd_table_set(table, file_get(file), fd, LIMIT, close_on_exec), fd);
        model->files[fd] = file;
        model->close_on_exec[fd] = close_on_exec;
        break;
    case 3:
        assert_int_equal(fd_table_close(table, fd), model->files[fd] != NULL ? 0 : -EBADF);
        model->files[fd] = NULL;
        break;
    default:
        fd_table_close_range(table, fd, fd + 3);
        for (uint32_t i = fd; i <= fd + 3 && i < LIMIT; i++)
            model->files[i] = NULL;
        break;
    }
}

static void it_behaves_as_the_model(void **state)
{
    struct fd_table *table = fd_table_create();
    struct fd_table *copy;
    struct model model = {0};
    struct file *files[3];

    (void)state;
    assert_non_null(table);
    for (int i = 0; i < 3; i++)
        files[i] = open_null();
    srand(1);
    for (int i = 0; i < 20000; i++) {
        one_change(table, &model, files[rand() % 3]);
        assert_same(table, &model);
    }
    copy = fd_table_copy(table);
    assert_non_null(copy);
    assert_same(copy, &model);
    fd_table_put(table);
    fd_table_close_on_exec(copy);
    for (int fd = 0; fd < LIMIT; fd++)
        model.files[fd] = model.close_on_exec[fd] ? NULL : model.files[fd];
    assert_same(copy, &model);
    fd_table_put(copy);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(files[i]->references, 1);
        file_put(files[i]);
    }
}

static void limits_are_kept(void **state)
{
    struct fd_table *table = fd_table_create();
    struct file *file = open_null();

    (void)state;
    assert_non_null(table);
    assert_int_equal(fd_table_add(table, file_get(file), 0, 0, false), -EMFILE);
    assert_int_equal(fd_table_add(table, file_get(file), 7, 7, false), -EINVAL);
    assert_int_equal(fd_table_set(table, file_get(file), 7, 7, false), -EBADF);
    assert_int_equal(fd_table_set(table, file_get(file), FD_TABLE_MAX, UINT32_MAX, false), -EBADF);
    assert_int_equal(fd_table_set(table, file_get(file), UINT32_MAX, UINT32_MAX, false), -EBADF);
    assert_int_equal(fd_table_add(table, file_get(file), FD_TABLE_MAX, UINT32_MAX, false), -EINVAL);
    assert_int_equal(fd_table_set(table, file_get(file), FD_TABLE_MAX - 1, UINT32_MAX, false), FD_TABLE_MAX - 1);
    assert_null(fd_table_file(table, FD_TABLE_MAX));
    assert_null(fd_table_file(table, UINT32_MAX));
    fd_table_put(table);
    assert_int_equal(file->references, 1);
    file_put(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_behaves_as_the_model),
        cmocka_unit_test(limits_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
