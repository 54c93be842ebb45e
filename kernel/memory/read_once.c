/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/read_once.h"

#include <stdbool.h>
#include <string.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/read_log.h"
#include "tasks/task.h"

int read_once(struct task *task, uint64_t addr, void *buffer, size_t length)
{
    struct read_log *log = &task->reads;
    const unsigned char *copy = read_log_find(log, addr, length, &length);
    int err;

    if (copy) {
        memcpy(buffer, copy, length);
        return 0;
    }
    err = guest_read(task_memory(task), addr, buffer, length);
    return err ? err : read_log_keep(log, addr, length, buffer, length);
}

int read_once_u64(struct task *task, uint64_t addr, uint64_t *out)
{
    return read_once(task, addr, out, sizeof(*out));
}

/* Those of one call are there all or none. */
static bool were_read(const struct read_log *log, const tg_transfer *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const unsigned char *copy = read_log_find(log, ranges[i].addr, ranges[i].length, &length);

        if (!copy)
            return false;
        memcpy(ranges[i].buffer, copy, length);
    }
    return true;
}

int read_once_ranges(struct task *task, tg_transfer *ranges, size_t count)
{
    struct read_log *log = &task->reads;
    int err;

    if (were_read(log, ranges, count))
        return 0;
    err = guest_transfer(task_memory(task), ranges, count);
    for (size_t i = 0; i < count && !err; i++)
        err = read_log_keep(log, ranges[i].addr, ranges[i].length, ranges[i].buffer, ranges[i].length);
    return err;
}

ssize_t read_string_once(struct task *task, uint64_t addr, char *buffer, size_t capacity)
{
    struct read_log *log = &task->reads;
    size_t size;
    const unsigned char *copy = read_log_find(log, addr, capacity, &size);
    ssize_t length;
    int err;

    if (copy) {
        memcpy(buffer, copy, size);
        return (ssize_t)size - 1;
    }
    length = guest_read_string(task_memory(task), addr, buffer, capacity);
    if (length < 0)
        return length;
    err = read_log_keep(log, addr, capacity, buffer, (size_t)length + 1);
    return err ? err : length;
}
