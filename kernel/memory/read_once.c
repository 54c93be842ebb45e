/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/read_once.h"

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
