/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The entries of /proc/self/fd: the descriptors of the process that asks, in the form of getdents64(2). */
#include "file_calls/file_proc.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What linux/dirent.h calls struct linux_dirent64, without its name. */
struct entry_head {
    uint64_t inode;
    int64_t next_position;
    uint16_t length;
    uint8_t type;
} __attribute__((packed));

#define ENTRY_ALIGNMENT  8
#define FIRST_DESCRIPTOR 2 /* positions 0 and 1 are "." and ".." */

/* The name at a position; false when nothing is there. */
static bool name_at(const struct fd_table *table, int64_t position, char *name, size_t capacity)
{
    if (position < FIRST_DESCRIPTOR) {
        snprintf(name, capacity, "%s", position == 0 ? "." : "..");
        return true;
    }
    snprintf(name, capacity, "%lld", (long long)(position - FIRST_DESCRIPTOR));
    return fd_table_file(table, (uint32_t)(position - FIRST_DESCRIPTOR)) != NULL;
}

/* The entry's length, or 0 when it does not fit. */
static size_t put_entry(char *buffer, size_t room, int64_t position, const char *name)
{
    size_t name_size = strlen(name) + 1;
    size_t length = (sizeof(struct entry_head) + name_size + ENTRY_ALIGNMENT - 1) & ~(size_t)(ENTRY_ALIGNMENT - 1);
    struct entry_head head = {
        .inode = (uint64_t)position + 1,
        .next_position = position + 1,
        .length = (uint16_t)length,
        .type = position < FIRST_DESCRIPTOR ? DT_DIR : DT_LNK,
    };

    if (length > room)
        return 0;
    memset(buffer, 0, length);
    memcpy(buffer, &head, sizeof(head));
    memcpy(buffer + sizeof(head), name, name_size);
    return length;
}

int64_t proc_list_descriptors(const struct task *task, int host_fd, char *buffer, size_t capacity)
{
    const struct fd_table *table = task->process->fd_table;
    int64_t position = lseek(host_fd, 0, SEEK_CUR);
    int64_t end = (int64_t)table->capacity + FIRST_DESCRIPTOR;
    size_t used = 0;

    for (; position >= 0 && position < end; position++) {
        char name[24];
        size_t length;

        if (!name_at(table, position, name, sizeof(name)))
            continue;
        length = put_entry(buffer + used, capacity - used, position, name);
        if (length == 0 && used == 0)
            return -EINVAL;
        if (length == 0)
            break;
        used += length;
    }
    (void)lseek(host_fd, position, SEEK_SET);
    return (int64_t)used;
}
