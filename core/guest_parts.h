/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Ranges of guest memory with buffers of as many bytes, for process_vm_readv(2) and its like. */
#ifndef CORE_GUEST_PARTS_H
#define CORE_GUEST_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define GUEST_PARTS_MAX 128 /* at once: they are on the stack of whoever copies */

struct guest_parts {
    bool to_guest;
    size_t count; /* 1 to GUEST_PARTS_MAX */
    const struct iovec *guest;
    const struct iovec *ours;
};

#endif
