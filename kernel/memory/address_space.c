/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/address_space.h"

#include <errno.h>
#include <stdlib.h>

#include "memory/brings.h"
#include "tasks/identity_words.h"
#include "tasks/sandbox_state.h"
#include "tasks/shown_clocks.h"

/* Kept free below the top of user space for the first stack: see loader.c. */
#define STACK_AREA (UINT64_C(64) << 20)

static int add_reserved_ranges(struct memory_map *map, const tg_info *info)
{
    for (uint32_t i = 0; i < info->reserved_count && i < TG_RESERVED_MAX; i++) {
        struct vma vma = {.start = info->reserved[i].start, .end = info->reserved[i].end, .flags = VMA_RESERVED};
        int err = memory_map_reserve(map);
        if (err)
            return err;
        memory_map_insert(map, &vma);
    }
    return 0;
}

/* The stack lies in the highest free range that can hold it; mappings go below. */
static int place_stack(struct address_space *space)
{
    uint64_t start = memory_map_search(&space->map, STACK_AREA, space->map.highest);

    if (!start)
        return -ENOMEM;
    space->stack_top = start + STACK_AREA;
    space->map.search_top = start;
    return 0;
}

static struct address_space *allocate(struct sandbox *sandbox)
{
    struct address_space *space = calloc(1, sizeof(*space));

    if (!space)
        return NULL;
    space->references = 1;
    space->id = sandbox->next_space_id++;
    return space;
}

static void destroy(struct address_space *space)
{
    tg_subprocess_destroy(space->subprocess);
    memory_map_free(&space->map);
    free(space);
}

int address_space_create(struct sandbox *sandbox, struct address_space **out)
{
    struct address_space *space = allocate(sandbox);
    int err;

    *out = NULL;
    if (!space)
        return -ENOMEM;
    address_spaces_destroy_left(sandbox);
    memory_map_init(&space->map, sandbox->info.user_start, sandbox->info.user_end);
    err = add_reserved_ranges(&space->map, &sandbox->info);
    if (!err)
        err = place_stack(space);
    if (!err)
        err = tg_subprocess_create(sandbox->platform, &space->subprocess);
    if (err) {
        destroy(space);
        return err;
    }
    identity_words_offer(sandbox, space->subprocess);
    brings_declare(space->subprocess);
    guest_clocks_offer(sandbox, space->subprocess);
    *out = space;
    return 0;
}

int address_space_fork(struct sandbox *sandbox, struct address_space *from, struct address_space **out)
{
    struct address_space *space = allocate(sandbox);
    uint64_t id;
    int err;

    *out = NULL;
    if (!space)
        return -ENOMEM;
    address_spaces_destroy_left(sandbox);
    id = space->id;
    *space = *from;
    space->references = 1;
    space->id = id;
    space->subprocess = NULL;
    err = memory_map_copy(&space->map, &from->map);
    if (err)
        memory_map_init(&space->map, 0, 0);
    else
        err = tg_subprocess_fork(from->subprocess, &space->subprocess);
    if (err) {
        destroy(space);
        return err;
    }
    *out = space;
    return 0;
}

void address_space_release(struct sandbox *sandbox, struct address_space *space)
{
    if (!space || --space->references > 0)
        return;
    space->next_left = sandbox->left_spaces;
    sandbox->left_spaces = space;
}

void address_spaces_destroy_left(struct sandbox *sandbox)
{
    struct address_space *space;

    while ((space = sandbox->left_spaces)) {
        sandbox->left_spaces = space->next_left;
        destroy(space);
    }
}

tg_mem_op address_space_map_op(const struct vma *vma, uint32_t map_flags, int fd)
{
    if (vma->flags & VMA_SHARED)
        map_flags |= TG_MAP_SHARED;
    if (fd >= 0)
        map_flags |= TG_MAP_FD;
    return (tg_mem_op){.size = sizeof(tg_mem_op),
                       .kind = TG_MEM_MAP,
                       .addr = vma->start,
                       .length = vma->end - vma->start,
                       .prot = vma->prot,
                       .flags = map_flags,
                       .fd = fd,
                       .offset = vma->offset};
}

int address_space_map(struct address_space *space, const struct vma *vma, uint32_t map_flags, int fd)
{
    const tg_mem_op op = address_space_map_op(vma, map_flags, fd);
    int err = memory_map_reserve(&space->map);

    if (err)
        return err;
    if (memory_map_is_reserved(&space->map, vma->start, vma->end))
        return -ENOMEM;
    err = tg_subprocess_apply(space->subprocess, &op, 1, NULL);
    if (!err)
        memory_map_insert(&space->map, vma);
    return err;
}

int address_space_unmap(struct address_space *space, uint64_t start, uint64_t end)
{
    int err = memory_map_reserve(&space->map);

    if (err || memory_map_is_free(&space->map, start, end))
        return err;
    if (memory_map_is_reserved(&space->map, start, end))
        return -EINVAL;
    err = tg_subprocess_unmap(space->subprocess, start, end - start);
    if (!err)
        memory_map_remove(&space->map, start, end);
    return err;
}

/* The zero pages first: if they cannot be had, nothing has moved. */
static int move_pages(struct address_space *space, const struct vma *vma, uint64_t from, uint64_t length)
{
    const uint64_t zeros = vma->start + length;
    const size_t skipped = vma->end > zeros ? 0 : 1;
    const tg_mem_op ops[] = {
        {.size = sizeof(tg_mem_op),
         .kind = TG_MEM_MAP,
         .addr = zeros,
         .length = vma->end - zeros,
         .prot = vma->prot,
         .fd = -1},
        {.size = sizeof(tg_mem_op), .kind = TG_MEM_MOVE, .addr = from, .length = length, .offset = vma->start},
    };

    return tg_subprocess_apply(space->subprocess, ops + skipped, 2 - skipped, NULL);
}

int address_space_move(struct address_space *space, const struct vma *vma, uint64_t from, uint64_t length)
{
    /* Enough for the two changes: what is free is not split. */
    int err = memory_map_reserve(&space->map);

    if (err)
        return err;
    if (!memory_map_is_free(&space->map, vma->start, vma->end))
        return -ENOMEM;
    err = move_pages(space, vma, from, length);
    if (err) {
        tg_subprocess_unmap(space->subprocess, vma->start, vma->end - vma->start);
        return err;
    }
    memory_map_remove(&space->map, from, from + length);
    memory_map_insert(&space->map, vma);
    return 0;
}

int address_space_protect(struct address_space *space, uint64_t start, uint64_t end, uint32_t prot)
{
    int err = memory_map_reserve(&space->map);

    if (err)
        return err;
    if (!memory_map_is_covered(&space->map, start, end))
        return -ENOMEM;
    err = tg_subprocess_protect(space->subprocess, start, end - start, prot);
    if (!err)
        memory_map_protect(&space->map, start, end, prot);
    return err;
}
