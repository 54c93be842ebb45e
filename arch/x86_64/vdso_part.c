/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The library's own vDSO, seen from the library. */
#include <cpuid.h>
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "arch/arch_vdso.h"
#include "vdso_counter.h"

#define LEAF_POWER       0x80000007
#define POWER_STEADY_TSC (1u << 8)

extern const uint8_t tgi_vdso_blob[];
extern const uint8_t tgi_vdso_blob_end[];

/* Reading it where this process has it trapped would be the embedder's end. */
static bool counter_readable(void)
{
    int mode = PR_TSC_SIGSEGV;

    return !prctl(PR_GET_TSC, &mode) && mode == PR_TSC_ENABLE;
}

static bool counter_steady(void)
{
    unsigned int eax;
    unsigned int ebx;
    unsigned int ecx;
    unsigned int edx;

    return __get_cpuid(LEAF_POWER, &eax, &ebx, &ecx, &edx) && edx & POWER_STEADY_TSC;
}

static uint64_t counter(void)
{
    return vdso_counter();
}

static const struct arch_vdso part = {
    .blob = tgi_vdso_blob,
    .blob_end = tgi_vdso_blob_end,
    .counter_readable = counter_readable,
    .counter_steady = counter_steady,
    .counter = counter,
};

const struct arch_vdso *const tgi_arch_vdso = &part;
