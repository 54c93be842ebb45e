/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What this processor and kernel let user code do. */
#ifndef TESTS_SUPPORT_AARCH64_CPU_H
#define TESTS_SUPPORT_AARCH64_CPU_H

#include <stdbool.h>

enum cpu_feature {
    CPU_ALWAYS,
    CPU_LSE,
    CPU_PAC,
    CPU_SVE,
};

bool cpu_has(enum cpu_feature feature);

#endif
