/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* mremap(2): mappings that grow, shrink or move. */
#ifndef TRAPGATE_KERNEL_MEMORY_MOVE_H
#define TRAPGATE_KERNEL_MEMORY_MOVE_H

#include <stdint.h>

#include "memory/address_space.h"

/* Addresses and lengths are whole pages, the old range lies in user space. */
struct memory_move {
    uint64_t old_start;
    uint64_t old_length;
    uint64_t new_length;
    uint64_t new_start; /* for MREMAP_FIXED */
    uint64_t flags;     /* MREMAP_MAYMOVE, MREMAP_FIXED */
};

/* The new address or -errno. */
int64_t memory_move(struct address_space *space, const struct memory_move *move);

#endif
