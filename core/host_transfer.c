/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/backend.h"
#include "core/guest_parts.h"
#include "core/host_transfer.h"

#define HOST_COPY_MAX ((size_t)1 << 30) /* the kernel refuses more than about 2 GiB at once */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t transfer_part(const struct tg_platform *platform, const struct tg_transfer *piece)
{
    const uint64_t user_end = platform->info.user_end;
    const uint64_t page = platform->info.page_size;
    const uint64_t at = piece->addr + piece->done;
    const size_t left = least(piece->length - piece->done, HOST_COPY_MAX);

    if (at >= user_end || at < piece->addr)
        return 0;
    return least(left, piece->kind == TG_TRANSFER_STRING ? page - (at & (page - 1)) : user_end - at);
}

void transfer_advance(struct tg_transfer *piece, size_t moved)
{
    const char *from = (const char *)piece->buffer + piece->done;
    const char *end = piece->kind == TG_TRANSFER_STRING ? memchr(from, 0, moved) : NULL;

    piece->done += end ? (size_t)(end - from) : moved;
    if (end)
        piece->length = piece->done;
}

/* The pieces that go in one call, and what of each. */
struct run {
    struct iovec guest[GUEST_PARTS_MAX];
    struct iovec ours[GUEST_PARTS_MAX];
    struct tg_transfer *pieces[GUEST_PARTS_MAX];
    size_t count;
    size_t size;
};

static void add(struct run *run, struct tg_transfer *piece, size_t part)
{
    run->guest[run->count] = (struct iovec){(void *)(uintptr_t)(piece->addr + piece->done), part};
    run->ours[run->count] = (struct iovec){(char *)piece->buffer + piece->done, part};
    run->pieces[run->count++] = piece;
    run->size += part;
}

/* What is behind a part that is not all of its piece must not be moved before the rest of that; a string may end in it.
 */
static void gather(struct run *run, const struct tg_platform *platform, struct tg_transfer *pieces, size_t n)
{
    const bool to_guest = pieces->kind == TG_TRANSFER_WRITE;
    bool whole = true;

    run->count = 0;
    run->size = 0;
    for (size_t i = 0; i < n && whole && run->count < GUEST_PARTS_MAX; i++) {
        struct tg_transfer *piece = &pieces[i];
        const size_t part = transfer_part(platform, piece);

        if (transfer_is_over(piece))
            continue;
        if (!part || (piece->kind == TG_TRANSFER_WRITE) != to_guest || part > HOST_COPY_MAX - run->size)
            return;
        add(run, piece, part);
        whole = piece->kind == TG_TRANSFER_STRING || part == piece->length - piece->done;
    }
}

static void advance(const struct run *run, size_t moved)
{
    for (size_t i = 0; i < run->count && moved; i++) {
        const size_t part = least(run->guest[i].iov_len, moved);

        transfer_advance(run->pieces[i], part);
        moved -= part;
    }
}

ssize_t host_transfer(struct tg_subprocess *subprocess, struct tg_transfer *pieces, size_t n)
{
    struct run run;
    ssize_t moved;

    gather(&run, subprocess->platform, pieces, n);
    moved = subprocess->platform->ops->subprocess_copy(
        subprocess, &(struct guest_parts){pieces->kind == TG_TRANSFER_WRITE, run.count, run.guest, run.ours});
    if (moved > 0)
        advance(&run, (size_t)moved);
    return moved;
}
