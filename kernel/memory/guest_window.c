/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/guest_window.h"

#include <errno.h>
#include <string.h>

#include "memory/guest_copy.h"

void guest_window_open(struct guest_window *window, tg_subprocess *memory)
{
    window->memory = memory;
    window->length = 0;
}

static uint64_t block_of(uint64_t addr)
{
    return addr & ~(uint64_t)(GUEST_WINDOW_SIZE - 1);
}

void guest_windows_look_ahead(struct guest_window *const windows[], const uint64_t addresses[], size_t count)
{
    tg_transfer ranges[GUEST_WINDOWS_MAX];

    for (size_t i = 0; i < count; i++)
        ranges[i] = guest_reading(block_of(addresses[i]), windows[i]->bytes, sizeof(windows[i]->bytes));
    (void)guest_transfer(windows[0]->memory, ranges, count);
    for (size_t i = 0; i < count; i++) {
        windows[i]->start = ranges[i].addr;
        windows[i]->length = ranges[i].done;
    }
}

/* What is there from the address to the end of its block. How many bytes, 0 when none can be read. */
static size_t look_at(struct guest_window *window, uint64_t addr, const char **bytes)
{
    uint64_t start = block_of(addr);
    size_t offset = (size_t)(addr - start);

    if (window->length == 0 || window->start != start) {
        window->start = start;
        window->length = guest_read_some(window->memory, start, window->bytes, sizeof(window->bytes));
    }
    *bytes = window->bytes + offset;
    return offset < window->length ? window->length - offset : 0;
}

int guest_window_read_u64(struct guest_window *window, uint64_t addr, uint64_t *out)
{
    char *to = (char *)out;
    size_t left = sizeof(*out);

    while (left > 0) {
        const char *bytes;
        size_t got = look_at(window, addr, &bytes);

        if (got == 0)
            return -EFAULT;
        if (got > left)
            got = left;
        memcpy(to, bytes, got);
        to += got;
        addr += got;
        left -= got;
    }
    return 0;
}

ssize_t guest_window_read_string(struct guest_window *window, uint64_t addr, char *buffer, size_t capacity)
{
    size_t used = 0;

    while (used < capacity) {
        const char *bytes;
        size_t got = look_at(window, addr + used, &bytes);
        const char *end;

        if (got == 0)
            return -EFAULT;
        if (got > capacity - used)
            got = capacity - used;
        end = memchr(bytes, '\0', got);
        if (end != NULL)
            got = (size_t)(end - bytes) + 1;
        memcpy(buffer + used, bytes, got);
        used += got;
        if (end != NULL)
            return (ssize_t)used - 1;
    }
    return -ENAMETOOLONG;
}
