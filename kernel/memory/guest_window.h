/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guest memory through one block that is kept: many small things that lie side
 * by side come in one copy. What lies in the block is what the guest had there
 * when it was read; a caller that must not see it change keeps what it has
 * taken.
 */
#ifndef TRAPGATE_KERNEL_GUEST_WINDOW_H
#define TRAPGATE_KERNEL_GUEST_WINDOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <trapgate/trapgate.h>

/* Blocks start at multiples of this, which no page border divides. */
#define GUEST_WINDOW_SIZE 4096

struct guest_window {
    tg_subprocess *memory;
    uint64_t start;
    size_t length; /* 0: nothing was read yet, or nothing can be read there */
    char bytes[GUEST_WINDOW_SIZE];
};

void guest_window_open(struct guest_window *window, tg_subprocess *memory);

/* The block of each address into its window, in one go. */
#define GUEST_WINDOWS_MAX 3
void guest_windows_look_ahead(struct guest_window *const windows[], const uint64_t addresses[], size_t count);

/* As guest_read_u64() and guest_read_string(). */
int guest_window_read_u64(struct guest_window *window, uint64_t addr, uint64_t *out);
ssize_t guest_window_read_string(struct guest_window *window, uint64_t addr, char *buffer, size_t capacity);

#endif
