/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a call that waits has read of the guest's memory; read_once.h has the reason. */
#ifndef TRAPGATE_KERNEL_READ_LOG_H
#define TRAPGATE_KERNEL_READ_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Copies of what the call read, one after the other; the loop forgets them when the call is over. */
struct read_log {
    unsigned char *bytes;
    size_t length;
    size_t capacity;
};

/* The copy of what was asked for before, and its length; NULL when it was not. */
const unsigned char *read_log_find(const struct read_log *log, uint64_t addr, size_t asked, size_t *length);

/* Keeps what was read when so much was asked for. 0 or -ENOMEM. */
int read_log_keep(struct read_log *log, uint64_t addr, size_t asked, const void *bytes, size_t length);

/* The call is over. */
void read_log_clear(struct read_log *log);

void read_log_free(struct read_log *log);

#endif
