/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/spinning.h"

#include "core/clock.h"

bool spin_begin(struct systrap_platform *sp)
{
    return atomic_fetch_add(&sp->spinners, 1) < sp->spinners_max;
}

bool spin_goes_on(int64_t spin_ns, int64_t *until_ns)
{
    int64_t now = clock_monotonic_ns();

    if (!*until_ns)
        *until_ns = now + spin_ns;
    return now < *until_ns;
}

void spin_end(struct tg_platform *platform, uint32_t *futile, bool found)
{
    atomic_fetch_sub(&systrap_platform(platform)->spinners, 1);
    *futile = found ? 0 : *futile + 1;
    if (!found)
        count(platform, COUNTER_FAILED_SPINS);
}
