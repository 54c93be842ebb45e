/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/fd_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 32

/* Makes room for descriptors below count. 0 or -ENOMEM. */
static int grow(struct fd_table *table, uint32_t count)
{
    uint32_t capacity = table->capacity > 0 ? table->capacity : FIRST_CAPACITY;
    struct fd_slot *slots;

    if (count <= table->capacity)
        return 0;
    while (capacity < count)
        capacity *= 2;
    slots = reallocarray(table->slots, capacity, sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;
    memset(slots + table->capacity, 0, (capacity - table->capacity) * sizeof(*slots));
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

struct fd_table *fd_table_create(void)
{
    struct fd_table *table = calloc(1, sizeof(*table));

    if (table != NULL)
        table->references = 1;
    return table;
}

struct fd_table *fd_table_copy(const struct fd_table *from)
{
    struct fd_table *table = fd_table_create();

    if (table == NULL)
        return NULL;
    if (grow(table, from->capacity) != 0) {
        fd_table_put(table);
        return NULL;
    }
    for (uint32_t fd = 0; fd < from->capacity; fd++) {
        table->slots[fd] = from->slots[fd];
        if (table->slots[fd].file != NULL)
            file_get(table->slots[fd].file);
    }
    table->lowest_free = from->lowest_free;
    return table;
}

struct fd_table *fd_table_get(struct fd_table *table)
{
    table->references++;
    return table;
}

void fd_table_put(struct fd_table *table)
{
    if (--table->references > 0)
        return;
    lock_owners_drop_all(&table->lock_owners);
    fd_table_close_range(table, 0, UINT32_MAX);
    free(table->slots);
    free(table);
}

int fd_table_host_fd(const struct fd_table *table, uint32_t fd)
{
    const struct file *file = fd_table_file(table, fd);

    if (file == NULL || (file->status & O_PATH) != 0)
        return -EBADF;
    return file->kind == FILE_PLAIN ? file->host_fd : -ENODEV;
}

/* Takes over the reference; the slot is there and free. */
static void fill(struct fd_table *table, uint32_t fd, struct file *file, bool close_on_exec)
{
    table->slots[fd].file = file;
    table->slots[fd].close_on_exec = close_on_exec;
    if (fd == table->lowest_free)
        table->lowest_free++;
}

static int fail(struct file *file, int error)
{
    file_put(file);
    return error;
}

int fd_table_add(struct fd_table *table, struct file *file, uint32_t lowest, uint32_t limit, bool close_on_exec)
{
    uint32_t fd = lowest > table->lowest_free ? lowest : table->lowest_free;

    if (limit > FD_TABLE_MAX)
        limit = FD_TABLE_MAX;
    if (lowest > 0 && lowest >= limit)
        return fail(file, -EINVAL);
    while (fd < table->capacity && table->slots[fd].file != NULL)
        fd++;
    if (fd >= limit)
        return fail(file, -EMFILE);
    if (grow(table, fd + 1) != 0)
        return fail(file, -ENOMEM);
    if (lowest <= table->lowest_free)
        table->lowest_free = fd;
    fill(table, fd, file, close_on_exec);
    return (int)fd;
}

int fd_table_set(struct fd_table *table, struct file *file, uint32_t fd, uint32_t limit, bool close_on_exec)
{
    if (fd >= limit || fd >= FD_TABLE_MAX)
        return fail(file, -EBADF);
    if (grow(table, fd + 1) != 0)
        return fail(file, -ENOMEM);
    (void)fd_table_close(table, fd);
    fill(table, fd, file, close_on_exec);
    return (int)fd;
}

int fd_table_close(struct fd_table *table, uint32_t fd)
{
    struct file *file = fd_table_file(table, fd);

    if (file == NULL)
        return -EBADF;
    table->slots[fd].file = NULL;
    if (fd < table->lowest_free)
        table->lowest_free = fd;
    if ((file->status & O_PATH) == 0)
        lock_owners_drop(&table->lock_owners, file->host_fd);
    file_put(file);
    return 0;
}

/* One behind the last slot of a range, as far as there are slots. */
static uint32_t range_end(const struct fd_table *table, uint32_t last)
{
    return last < table->capacity ? last + 1 : table->capacity;
}

void fd_table_close_range(struct fd_table *table, uint32_t first, uint32_t last)
{
    for (uint32_t fd = first; fd < range_end(table, last); fd++)
        (void)fd_table_close(table, fd);
}

void fd_table_mark_range(struct fd_table *table, uint32_t first, uint32_t last)
{
    for (uint32_t fd = first; fd < range_end(table, last); fd++)
        table->slots[fd].close_on_exec = true;
}

void fd_table_close_on_exec(struct fd_table *table)
{
    for (uint32_t fd = 0; fd < table->capacity; fd++) {
        if (table->slots[fd].close_on_exec)
            (void)fd_table_close(table, fd);
    }
}
