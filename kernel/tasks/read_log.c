/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/read_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A log that has grown beyond this is given back when its call is over. */
#define KEPT_CAPACITY 16384

#define ALIGNMENT 8

/* In front of each copy. What was asked for is the copy's name: a handler asks for the same again. */
struct read_entry {
    uint64_t addr;
    uint64_t asked;
    uint64_t length;
};

static size_t room_of(size_t length)
{
    return sizeof(struct read_entry) + ((length + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1));
}

const unsigned char *read_log_find(const struct read_log *log, uint64_t addr, size_t asked, size_t *length)
{
    struct read_entry entry;

    for (size_t at = 0; at < log->length; at += room_of(entry.length)) {
        memcpy(&entry, log->bytes + at, sizeof(entry));
        if (entry.addr != addr || entry.asked != asked)
            continue;
        *length = entry.length;
        return log->bytes + at + sizeof(entry);
    }
    return NULL;
}

static int make_room(struct read_log *log, size_t more)
{
    size_t capacity = log->capacity ? log->capacity : 512;
    unsigned char *larger;

    if (more <= log->capacity - log->length)
        return 0;
    while (capacity < log->length + more)
        capacity *= 2;
    larger = realloc(log->bytes, capacity);
    if (!larger)
        return -ENOMEM;
    log->bytes = larger;
    log->capacity = capacity;
    return 0;
}

int read_log_keep(struct read_log *log, uint64_t addr, size_t asked, const void *bytes, size_t length)
{
    const struct read_entry entry = {.addr = addr, .asked = asked, .length = length};
    int err = make_room(log, room_of(length));

    if (err)
        return err;
    memcpy(log->bytes + log->length, &entry, sizeof(entry));
    if (length)
        memcpy(log->bytes + log->length + sizeof(entry), bytes, length);
    log->length += room_of(length);
    return 0;
}

void read_log_clear(struct read_log *log)
{
    log->length = 0;
    if (log->capacity > KEPT_CAPACITY)
        read_log_free(log);
}

void read_log_free(struct read_log *log)
{
    free(log->bytes);
    *log = (struct read_log){0};
}
