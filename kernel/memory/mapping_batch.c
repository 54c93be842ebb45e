/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/mapping_batch.h"

#include <errno.h>

#include "memory/address_space.h"
#include "memory/guest_copy.h"

static int enter(struct memory_map *map, const struct vma *vma)
{
    int err = memory_map_reserve(map);

    if (err)
        return err;
    if (memory_map_is_reserved(map, vma->start, vma->end))
        return -ENOMEM;
    memory_map_insert(map, vma);
    return 0;
}

int mapping_batch_add(struct mapping_batch *batch, const struct vma *vma, uint32_t map_flags, int fd)
{
    int err = batch->count == MAPPING_BATCH_MAX ? mapping_batch_apply(batch) : 0;

    if (!err)
        err = enter(&batch->space->map, vma);
    if (!err)
        batch->ops[batch->count++] = address_space_map_op(vma, map_flags, fd);
    return err;
}

void mapping_batch_clear_tail(struct mapping_batch *batch, uint64_t start)
{
    const tg_mem_op *last = &batch->ops[batch->count - 1];

    batch->tails[batch->tail_count].start = start;
    batch->tails[batch->tail_count++].end = last->addr + last->length;
}

int mapping_batch_apply(struct mapping_batch *batch)
{
    tg_subprocess *subprocess = batch->space->subprocess;
    int err = tg_subprocess_apply(subprocess, batch->ops, batch->count, NULL);

    for (size_t i = 0; !err && i < batch->tail_count; i++)
        err = guest_clear(subprocess, batch->tails[i].start, batch->tails[i].end - batch->tails[i].start);
    batch->count = batch->tail_count = 0;
    return err;
}
