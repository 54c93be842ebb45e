/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What is mapped into a new address space, in as few operations of the library as there can be: the space's map knows
 * each mapping at once, the guest's memory has them all after mapping_batch_apply(). A space is of no use when one of
 * these fails.
 */
#ifndef TRAPGATE_KERNEL_MAPPING_BATCH_H
#define TRAPGATE_KERNEL_MAPPING_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

#include "memory/memory_map.h"

#define MAPPING_BATCH_MAX 32

struct address_space;

struct mapping_batch {
    struct address_space *space;
    size_t count;
    size_t tail_count;
    tg_mem_op ops[MAPPING_BATCH_MAX];
    struct {
        uint64_t start, end;
    } tails[MAPPING_BATCH_MAX]; /* no more than there are mappings */
};

/* The descriptor stays open until the batch is applied. A batch that is full is applied first. 0 or -errno. */
int mapping_batch_add(struct mapping_batch *batch, const struct vma *vma, uint32_t map_flags, int fd);

/* Zeros from start to the end of what was added last, whatever its file has there. */
void mapping_batch_clear_tail(struct mapping_batch *batch, uint64_t start);

/* All that was added, in order. 0 or -errno. */
int mapping_batch_apply(struct mapping_batch *batch);

#endif
