/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/guest_copy.h"

#include <errno.h>
#include <string.h>

/* Most strings are paths shorter than this: one copy finds their end. */
#define STRING_FIRST_CHUNK 256
#define STRING_CHUNK       4096

/* Of each thread that runs a loop. */
static _Thread_local struct {
    tg_context *context;
    tg_subprocess *subprocess;
} resting;

void guest_copy_by(tg_context *context, tg_subprocess *subprocess)
{
    resting.context = context;
    resting.subprocess = subprocess;
}

size_t guest_read_some(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    size_t done = 0;

    if (length == 0)
        return 0;
    if (subprocess == resting.subprocess)
        (void)tg_context_read(resting.context, subprocess, addr, buffer, length, &done);
    else
        (void)tg_subprocess_read(subprocess, addr, buffer, length, &done);
    return done;
}

size_t guest_write_some(tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length)
{
    size_t done = 0;

    if (length == 0)
        return 0;
    if (subprocess == resting.subprocess)
        (void)tg_context_write(resting.context, subprocess, addr, buffer, length, &done);
    else
        (void)tg_subprocess_write(subprocess, addr, buffer, length, &done);
    return done;
}

int guest_read(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    return guest_read_some(subprocess, addr, buffer, length) == length ? 0 : -EFAULT;
}

int guest_write(tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length)
{
    return guest_write_some(subprocess, addr, buffer, length) == length ? 0 : -EFAULT;
}

int guest_read_u32(tg_subprocess *subprocess, uint64_t addr, uint32_t *out)
{
    return guest_read(subprocess, addr, out, sizeof(*out));
}

int guest_read_u64(tg_subprocess *subprocess, uint64_t addr, uint64_t *out)
{
    return guest_read(subprocess, addr, out, sizeof(*out));
}

int guest_write_u32(tg_subprocess *subprocess, uint64_t addr, uint32_t value)
{
    return guest_write(subprocess, addr, &value, sizeof(value));
}

int guest_write_u64(tg_subprocess *subprocess, uint64_t addr, uint64_t value)
{
    return guest_write(subprocess, addr, &value, sizeof(value));
}

int guest_clear(tg_subprocess *subprocess, uint64_t addr, size_t length)
{
    static const unsigned char zeros[4096];

    while (length > 0) {
        size_t chunk = length < sizeof(zeros) ? length : sizeof(zeros);

        if (guest_write(subprocess, addr, zeros, chunk) != 0)
            return -EFAULT;
        addr += chunk;
        length -= chunk;
    }
    return 0;
}

ssize_t guest_read_string(tg_subprocess *subprocess, uint64_t addr, char *buffer, size_t capacity)
{
    size_t used = 0;
    size_t chunk = STRING_FIRST_CHUNK;

    while (used < capacity) {
        size_t want = chunk < capacity - used ? chunk : capacity - used;
        size_t got = guest_read_some(subprocess, addr + used, buffer + used, want);
        const char *end = memchr(buffer + used, '\0', got);

        if (end != NULL)
            return end - buffer;
        if (got < want)
            return -EFAULT;
        used += got;
        chunk = STRING_CHUNK;
    }
    return -ENAMETOOLONG;
}

int64_t guest_cut_spans(struct guest_span *spans, uint64_t count)
{
    uint64_t total = 0;

    for (uint64_t i = 0; i < count; i++) {
        if (spans[i].length > INT64_MAX)
            return -EINVAL;
        if (spans[i].length > GUEST_TRANSFER_MAX - total)
            spans[i].length = GUEST_TRANSFER_MAX - total;
        total += spans[i].length;
    }
    return (int64_t)total;
}
