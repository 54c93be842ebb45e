/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/memory_move.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/guest_copy.h"

#define COPY_CHUNK (UINT64_C(256) << 10)

/* Growing in place needs the free room behind the mapping, and something to map there. */
static int grow_in_place(struct address_space *space, const struct vma *old, uint64_t old_end, uint64_t new_end)
{
    struct vma more = *old;

    if (old_end != old->end || new_end > space->map.highest || !memory_map_is_free(&space->map, old_end, new_end))
        return -ENOMEM;
    more.start = old_end;
    more.end = new_end;
    more.offset = old->object ? old->offset + (old_end - old->start) : 0;
    return address_space_map(space, &more, 0, old->object ? old->object->fd : -1);
}

static bool all_zero(const unsigned char *bytes, size_t length)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* Copies what the guest wrote; pages of zeros are what a new mapping has already. */
static int copy_content(tg_subprocess *subprocess, uint64_t to, uint64_t from, uint64_t length)
{
    unsigned char *chunk = malloc(COPY_CHUNK);
    int err = chunk ? 0 : -ENOMEM;

    for (uint64_t done = 0; !err && done < length; done += COPY_CHUNK) {
        size_t part = length - done < COPY_CHUNK ? length - done : COPY_CHUNK;
        err = guest_read(subprocess, from + done, chunk, part);
        if (!err && !all_zero(chunk, part))
            err = guest_write(subprocess, to + done, chunk, part);
    }
    free(chunk);
    return err;
}

/* Copies between mappings whose protections may forbid the guest to read or write them. */
static int copy_protected(struct address_space *space, const struct vma *old, uint64_t to, uint64_t from,
                          uint64_t length)
{
    int err = 0;

    if (!(old->prot & TG_PROT_READ))
        err = tg_subprocess_protect(space->subprocess, from, length, TG_PROT_READ);
    if (!err)
        err = copy_content(space->subprocess, to, from, length);
    if (err && !(old->prot & TG_PROT_READ))
        tg_subprocess_protect(space->subprocess, from, length, old->prot);
    return err;
}

/* Into memory of its own. */
static int move_by_copy(struct address_space *space, const struct vma *old, struct vma *new, uint64_t from,
                        uint64_t length)
{
    uint32_t prot = new->prot;
    int err;

    new->object = NULL;
    new->offset = 0;
    new->prot = TG_PROT_READ | TG_PROT_WRITE;
    err = address_space_map(space, new, 0, -1);
    if (err)
        return err;
    err = copy_protected(space, old, new->start, from, length);
    if (!err && prot != new->prot)
        err = address_space_protect(space, new->start, new->end, prot);
    if (err)
        address_space_unmap(space, new->start, new->end);
    return err;
}

/* Where the host does not move it, what is private is copied: it may have made several mappings of one. */
static int move_private(struct address_space *space, const struct vma *old, struct vma *new, uint64_t from,
                        uint64_t length)
{
    return address_space_move(space, new, from, length) ? move_by_copy(space, old, new, from, length) : 0;
}

static int64_t move_vma(struct address_space *space, const struct vma *old, const struct memory_move *move,
                        uint64_t new_start)
{
    uint64_t kept = move->old_length < move->new_length ? move->old_length : move->new_length;
    struct vma new = {.start = new_start,
                      .end = new_start + move->new_length,
                      .prot = old->prot,
                      .flags = old->flags & ~(uint32_t)VMA_HEAP,
                      .object = old->object,
                      .offset = old->object ? old->offset + (move->old_start - old->start) : 0};
    int err;

    if (old->object && (old->flags & VMA_SHARED))
        err = address_space_map(space, &new, 0, new.object->fd);
    else
        err = move_private(space, old, &new, move->old_start, kept);
    if (!err)
        err = address_space_unmap(space, move->old_start, move->old_start + move->old_length);
    return err ? err : (int64_t)new_start;
}

static int64_t move_to_fixed(struct address_space *space, const struct vma *old, const struct memory_move *move)
{
    uint64_t start = move->new_start;
    int err;

    if (start < space->map.lowest || start > space->map.highest || move->new_length > space->map.highest - start)
        return -EINVAL;
    if (start < move->old_start + move->old_length && move->old_start < start + move->new_length)
        return -EINVAL;
    err = address_space_unmap(space, start, start + move->new_length);
    return err ? err : move_vma(space, old, move, start);
}

/*
 * A mapping that grows once mostly grows again, and moving copies: it goes to
 * the lower end of a hole of twice its size, so that the next time it grows in
 * place.
 */
static uint64_t choose_new_place(const struct memory_map *map, uint64_t length)
{
    uint64_t start = length <= map->highest / 2 ? memory_map_search(map, 2 * length, map->search_top) : 0;

    return start ? start : memory_map_search(map, length, map->search_top);
}

/* In place, to the same size too. What is cut off may be several mappings. */
static int64_t shrink(struct address_space *space, const struct memory_move *move)
{
    uint64_t new_end = move->old_start + move->new_length;
    int err = move->new_length == move->old_length
                  ? 0
                  : address_space_unmap(space, new_end, move->old_start + move->old_length);

    return err ? err : (int64_t)move->old_start;
}

int64_t memory_move(struct address_space *space, const struct memory_move *move)
{
    uint64_t old_end = move->old_start + move->old_length;
    const struct vma *found = memory_map_find(&space->map, move->old_start);
    struct vma old;
    int64_t result;

    if (!found || found->start > move->old_start || (found->flags & VMA_RESERVED))
        return -EFAULT;
    if (!(move->flags & MREMAP_FIXED) && move->new_length <= move->old_length)
        return shrink(space, move);
    if (found->end < old_end)
        return -EFAULT;
    /*
     * The map changes below, so the vma is copied, and its object kept.
     * What a private file mapping would show when it grows is in a file that
     * nobody holds open.
     */
    old = *found;
    if (old.object && old.object->fd < 0 && move->new_length > move->old_length)
        return -ENOMEM;
    memory_object_get(old.object);
    if (move->flags & MREMAP_FIXED) {
        result = move_to_fixed(space, &old, move);
    } else if (grow_in_place(space, &old, old_end, move->old_start + move->new_length) == 0) {
        result = (int64_t)move->old_start;
    } else {
        uint64_t start = (move->flags & MREMAP_MAYMOVE) ? choose_new_place(&space->map, move->new_length) : 0;
        result = start ? move_vma(space, &old, move, start) : -ENOMEM;
    }
    memory_object_put(old.object);
    return result;
}
