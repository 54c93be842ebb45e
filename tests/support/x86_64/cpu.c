/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "cpu.h"

#include <cpuid.h>
#include <sys/auxv.h>

#define LEAF1_ECX_CX16         (1u << 13)
#define LEAF1_ECX_OSXSAVE      (1u << 27)
#define EXTENDED_EDX_RDTSCP    (1u << 27)
#define HWCAP2_FSGSBASE_BIT    (1ul << 1)
#define EXTENDED_FEATURES_LEAF 0x80000001u

static bool leaf1_ecx(unsigned int bit)
{
    unsigned int a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit);
}

static bool has_rdtscp(void)
{
    unsigned int a, b, c, d;

    return __get_cpuid(EXTENDED_FEATURES_LEAF, &a, &b, &c, &d) && (d & EXTENDED_EDX_RDTSCP);
}

bool cpu_has(enum cpu_feature feature)
{
    switch (feature) {
    case CPU_ALWAYS:
        return true;
    case CPU_XSAVE:
        return leaf1_ecx(LEAF1_ECX_OSXSAVE);
    case CPU_AVX2:
        return __builtin_cpu_supports("avx2");
    case CPU_AVX512:
        return __builtin_cpu_supports("avx512f");
    case CPU_FSGSBASE:
        return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT;
    case CPU_CX16:
        return leaf1_ecx(LEAF1_ECX_CX16);
    case CPU_RDTSCP:
        return has_rdtscp();
    }
    return false;
}
