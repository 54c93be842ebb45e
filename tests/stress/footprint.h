/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What this process holds of the host: to find what a library leaves behind. */
#ifndef TESTS_STRESS_FOOTPRINT_H
#define TESTS_STRESS_FOOTPRINT_H

#include <stddef.h>

struct footprint {
    size_t descriptors;
    size_t threads;
    size_t mappings;
    size_t processes;  /* children of ours and processes that we trace */
    size_t memory_kib; /* resident and not shared with a file */
};

struct footprint footprint_take(void);

/*
 * The present footprint is the one of before. Memory may differ by what an
 * allocator keeps for later: a few mappings, and half a megabyte (much more
 * under sanitizers, which keep freed memory to find late accesses).
 */
void footprint_check(const struct footprint *before);

#endif
