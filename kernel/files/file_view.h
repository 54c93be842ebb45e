/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A part of a file that is mapped here, for large reads that come to the same
 * place again: the host copies from there to the guest, and nothing lies in
 * between. What has been written, cut off or added since is seen, for it is
 * the host's own copy of the file.
 */
#ifndef TRAPGATE_KERNEL_FILE_VIEW_H
#define TRAPGATE_KERNEL_FILE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_VIEW_LEAST 16384 /* shorter reads gain nothing */
#define FILE_VIEW_SIZE  (INT64_C(16) << 20)

struct file_view {
    const unsigned char *bytes; /* FILE_VIEW_SIZE of the file from offset on, or NULL */
    int64_t offset;             /* a multiple of that */
    int64_t watched; /* the part, by its offset, in which reads are watched while there is no mapping of it; */
    int64_t seen_from, seen_to; /* the last reads there, as far as they hang together; */
    uint32_t again;             /* and how many read what these had read */
    bool refused;               /* a file that is not looked at in this way */
};

/*
 * Where a read of the descriptor finds all its bytes, or NULL: then they are
 * to be read. They are for the host to copy: tg_subprocess_write() lets it.
 * Nobody else looks at them: when another process cuts the file short in this
 * moment, that ends the one who does with SIGBUS, and for the host is memory
 * that it cannot copy from.
 */
const unsigned char *file_view_find(struct file_view *view, int fd, int64_t offset, size_t length);

void file_view_close(struct file_view *view);

#endif
