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

static void count_futile(struct systrap_platform *sp, uint32_t *futile)
{
    ++*futile;
    atomic_fetch_add_explicit(&sp->futile_spins, 1, memory_order_relaxed);
}

void spin_skipped(struct systrap_platform *sp, uint32_t *futile)
{
    /* What one context waits for in vain says nothing about the others. */
    if (atomic_load_explicit(&sp->futile_spins, memory_order_relaxed) <= SPIN_FUTILE_MAX)
        ++*futile;
    else
        count_futile(sp, futile);
}

void spin_end(struct tg_platform *platform, uint32_t *futile, bool found)
{
    struct systrap_platform *sp = systrap_platform(platform);

    atomic_fetch_sub(&sp->spinners, 1);
    if (found) {
        spin_found(sp, futile);
        return;
    }
    count_futile(sp, futile);
    count(platform, COUNTER_FAILED_SPINS);
}
