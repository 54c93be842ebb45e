/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What this processor and kernel let user code do. */
#ifndef TESTS_SUPPORT_X86_64_CPU_H
#define TESTS_SUPPORT_X86_64_CPU_H

#include <stdbool.h>

enum cpu_feature {
    CPU_ALWAYS,
    CPU_XSAVE,
    CPU_AVX2,
    CPU_AVX512,
    CPU_FSGSBASE,
    CPU_RDTSCP,
    CPU_CX16,
};

bool cpu_has(enum cpu_feature feature);

#endif
