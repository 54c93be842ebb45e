/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../bare_fpstate.h"

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

#define CPUID_XSAVE    0xd
#define CPUID_XSAVEOPT 0x1 /* subleaf 1, eax */

/* x87, SSE, AVX and the three of AVX-512; the processor leaves out what it does not have. */
#define COMPONENTS 0xe7U

/* The header of an XSAVE area starts with the set of components that are not in their initial state. */
#define IN_USE_OFFSET 512

/* Where a component ends in the uncompacted layout; 0 when the processor does not have it. */
static uint32_t component_end(unsigned component)
{
    uint32_t size, offset, unused;

    if (!__get_cpuid_count(CPUID_XSAVE, component, &size, &offset, &unused, &unused))
        return 0;
    return offset + size;
}

bool bare_fpstate_usable(void)
{
    uint32_t features, unused;

    if (!__get_cpuid_count(CPUID_XSAVE, 1, &features, &unused, &unused, &unused) || !(features & CPUID_XSAVEOPT))
        return false;
    for (unsigned component = 2; component < 32; component++)
        if ((COMPONENTS >> component & 1) && component_end(component) > BARE_FPSTATE_SIZE)
            return false;
    return true;
}

void bare_fpstate_save(struct bare_fpstate *to)
{
    __asm__ volatile("xsaveopt64 %0" : "+m"(*to) : "a"(COMPONENTS), "d"(0));
}

void bare_fpstate_restore(const struct bare_fpstate *from)
{
    uint64_t in_use;

    memcpy(&in_use, from->bytes + IN_USE_OFFSET, sizeof(in_use));
    if (in_use != 0)
        __asm__ volatile("xrstor64 %0" : : "m"(*from), "a"(COMPONENTS), "d"(0) : "memory");
}
