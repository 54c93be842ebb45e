/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A guest with a patched call and some of its memory, and what something adds to that call. */
#ifndef TRAPGATE_BENCH_PATCHED_GUEST_H
#define TRAPGATE_BENCH_PATCHED_GUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "guest.h"
#include "sample.h"

#define PATCHED_GUEST_BYTES 4096 /* at GUEST_DATA_ADDRESS, which is the call's first argument */

struct patched_guest {
    struct guest guest;
    tg_context *context;
    unsigned char bytes[PATCHED_GUEST_BYTES]; /* the embedder's */
    size_t length;                            /* the sample's argument */
};

/*
 * What one step takes longer than a switch alone, in nanoseconds. prepare, if it is not NULL, is told before each block
 * of either whether steps follow.
 */
double added_to_switch(const struct sample *sample, void (*step)(void *patched_guest),
                       void (*prepare)(struct patched_guest *patched, bool steps));

#endif
