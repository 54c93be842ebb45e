/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "cpus.h"

#include <sched.h>

#include "sample.h"

int allowed_cpu(unsigned index)
{
    /* Asked once, before anything is pinned: afterwards the answer would be the pinned processor alone. */
    static cpu_set_t allowed;
    static bool known;
    unsigned left;

    if (!known) {
        sample_require(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
        known = true;
    }
    left = index % (unsigned)CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && left-- == 0)
            return cpu;
    sample_fail("no processor allowed");
}

void pin_to_cpu(int cpu)
{
    cpu_set_t one;

    if (cpu == CPU_ANY)
        return;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sample_require(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
}
