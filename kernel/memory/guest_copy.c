/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/guest_copy.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "memory/brings.h"

/* Most strings are paths shorter than this: one copy finds their end. */
#define STRING_FIRST_CHUNK 256
#define STRING_CHUNK       4096

/* Of each thread that runs a loop. */
static _Thread_local struct {
    tg_context *context;
    tg_subprocess *subprocess;
    uint64_t nr;
    const uint64_t *args;
} resting;

void guest_copy_by(tg_context *context, tg_subprocess *subprocess, uint64_t nr, const uint64_t args[6])
{
    resting.context = context;
    resting.subprocess = subprocess;
    resting.nr = nr;
    resting.args = args;
}

void guest_copy_by_none(void)
{
    guest_copy_by(NULL, NULL, GUEST_NO_CALL, NULL);
}

/* What the call has brought along from that address on: 0, -EFAULT, or what says that it is to be asked for. */
static int take_brought(const char **bytes, size_t *length)
{
    const void *brought = NULL;
    int err = tg_context_brought(resting.context, resting.subprocess, 0, &brought, length);

    *bytes = brought;
    return err;
}

/* False: to be asked for. Bytes that are missing are behind the end of the guest's memory. */
static bool read_brought(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, size_t *done)
{
    const char *bytes;
    size_t brought;
    int err;

    if (subprocess != resting.subprocess || length > BRING_BYTES_MAX || !brings_bytes(resting.nr, resting.args, addr))
        return false;
    err = take_brought(&bytes, &brought);
    if (err && err != -EFAULT)
        return false;
    *done = brought < length ? brought : length;
    if (*done > 0)
        memcpy(buffer, bytes, *done);
    return true;
}

size_t guest_read_some(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    size_t done = 0;

    if (length == 0 || read_brought(subprocess, addr, buffer, length, &done))
        return done;
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

static size_t transfer_some(tg_subprocess *subprocess, const tg_transfer *range)
{
    return range->kind == TG_TRANSFER_WRITE ? guest_write_some(subprocess, range->addr, range->buffer, range->length)
                                            : guest_read_some(subprocess, range->addr, range->buffer, range->length);
}

/* Where no context rests that could do it. */
static int transfer_each(tg_subprocess *subprocess, tg_transfer *ranges, size_t count)
{
    int err = 0;

    for (size_t i = 0; i < count; i++) {
        ranges[i].done = err ? 0 : transfer_some(subprocess, &ranges[i]);
        if (ranges[i].done < ranges[i].length)
            err = -EFAULT;
    }
    return err;
}

int guest_transfer(tg_subprocess *subprocess, tg_transfer *ranges, size_t count)
{
    int err;

    if (count < 2 || subprocess != resting.subprocess)
        return transfer_each(subprocess, ranges, count);
    err = tg_context_transfer(resting.context, subprocess, ranges, count);
    return err ? -EFAULT : 0;
}

size_t guest_transfer_some(tg_subprocess *subprocess, tg_transfer *ranges, size_t count)
{
    size_t done = 0;

    (void)guest_transfer(subprocess, ranges, count);
    for (size_t i = 0; i < count; i++)
        done += ranges[i].done;
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

/* Its length, -EFAULT, or -EAGAIN: to be asked for. */
static ssize_t read_brought_string(tg_subprocess *subprocess, uint64_t addr, char *buffer, size_t capacity)
{
    const char *bytes;
    size_t length;
    int err;

    if (subprocess != resting.subprocess || !brings_string(resting.nr, resting.args, addr))
        return -EAGAIN;
    err = take_brought(&bytes, &length);
    if (err)
        return err == -EFAULT ? err : -EAGAIN;
    if (length == BRING_STRING_MAX || length >= capacity)
        return -EAGAIN;
    memcpy(buffer, bytes, length + 1);
    return (ssize_t)length;
}

ssize_t guest_read_string(tg_subprocess *subprocess, uint64_t addr, char *buffer, size_t capacity)
{
    ssize_t brought = read_brought_string(subprocess, addr, buffer, capacity);
    size_t used = 0;
    size_t chunk = STRING_FIRST_CHUNK;

    if (brought != -EAGAIN)
        return brought;
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
