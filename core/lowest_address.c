/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdio.h>

#include "core/lowest_address.h"

#define MMAP_MIN_ADDR_FALLBACK 65536

/* Where it cannot be read, what every distribution sets is safe. */
uint64_t lowest_address(uint64_t page)
{
    unsigned long long value = MMAP_MIN_ADDR_FALLBACK;
    FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "re");

    if (file) {
        if (fscanf(file, "%llu", &value) != 1)
            value = MMAP_MIN_ADDR_FALLBACK;
        fclose(file);
    }
    value = (value + page - 1) & ~(page - 1);
    return value;
}
