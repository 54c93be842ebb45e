/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The time stamp counter, for stub/vdso_reader.h. */
#ifndef ARCH_X86_64_VDSO_COUNTER_H
#define ARCH_X86_64_VDSO_COUNTER_H

#include <stdint.h>

/* Not before what was loaded above it: rdtsc alone may be made earlier. */
static inline uint64_t vdso_counter(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* 0, which the processor knows when it has read the counter: what is loaded from there is loaded later. */
static inline uint64_t vdso_zero_after(uint64_t counter)
{
    __asm__ volatile("andq $0, %0" : "+r"(counter) : : "cc");
    return counter;
}

static inline void vdso_pause(void)
{
    __asm__ volatile("pause");
}

#endif
