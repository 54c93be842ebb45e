/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "cpu.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

bool cpu_has(enum cpu_feature feature)
{
    static const unsigned long bits[] = {[CPU_LSE] = HWCAP_ATOMICS, [CPU_PAC] = HWCAP_PACA, [CPU_SVE] = HWCAP_SVE};

    return feature == CPU_ALWAYS || getauxval(AT_HWCAP) & bits[feature];
}
