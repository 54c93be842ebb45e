/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Pieces of guest memory, as tg_context_transfer() has them, and how the host moves them. */
#ifndef CORE_HOST_TRANSFER_H
#define CORE_HOST_TRANSFER_H

#include "core/handles.h"

/*
 * These pieces are the library's own copies. So many as done says of each are
 * moved. A string whose 0 byte is there has its place as length: it is over.
 */
static inline bool transfer_is_over(const struct tg_transfer *piece)
{
    return piece->done == piece->length;
}

/* How much of what is left of it may be moved at once: of a string what its page has; 0: no guest has such memory. */
size_t transfer_part(const struct tg_platform *platform, const struct tg_transfer *piece);
/* So many bytes of that part were. */
void transfer_advance(struct tg_transfer *piece, size_t moved);

/*
 * Moves on the first of the pieces, which is not over and has such a part, and
 * those behind it in the same direction. How many bytes, or -errno; 0 is no
 * access either. The caller is inside.
 */
ssize_t host_transfer(struct tg_subprocess *subprocess, struct tg_transfer *pieces, size_t n);

#endif
