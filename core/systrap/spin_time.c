/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/spin_time.h"

#include "core/clock.h"
#include "core/systrap/spin_grants.h"

#define SPIN_NS         20000 /* about what a sleep and a wake-up cost on both sides */
#define SPIN_NS_MAX     (NS_PER_SECOND / 10)
#define SPIN_NEVER      1 /* tg_platform_options.spin_ns */
#define CALIBRATE_ROUND 2000

/* What so many of the processor's pauses take. */
static int64_t time_pauses(void)
{
    int64_t best = INT64_MAX;

    for (int pass = 0; pass < 3; pass++) {
        int64_t start = clock_monotonic_ns();
        int64_t took;

        for (int i = 0; i < CALIBRATE_ROUND; i++)
            tgi_arch_systrap->pause();
        took = clock_monotonic_ns() - start;
        best = took < best ? took : best;
    }
    return best > 0 ? best : 1;
}

static int64_t meant_by(uint64_t wanted_ns)
{
    if (wanted_ns == 0)
        return SPIN_NS;
    if (wanted_ns == SPIN_NEVER)
        return 0;
    return wanted_ns < SPIN_NS_MAX ? (int64_t)wanted_ns : SPIN_NS_MAX;
}

static void set(struct systrap_platform *sp, uint64_t wanted_ns)
{
    const int64_t ns = meant_by(wanted_ns);
    const uint32_t pauses = ns ? (uint32_t)(ns * CALIBRATE_ROUND / sp->pauses_ns) + 1 : 0;

    atomic_store(&sp->spin_ns, ns);
    atomic_store(&sp->spin_pauses, pauses);
}

void spin_time_learn(struct systrap_platform *sp, uint64_t wanted_ns)
{
    sp->pauses_ns = time_pauses();
    set(sp, wanted_ns);
    sp->config.spin_pauses = atomic_load(&sp->spin_pauses);
}

void systrap_set_spin(struct tg_platform *platform, uint64_t wanted_ns)
{
    struct systrap_platform *sp = systrap_platform(platform);

    /* With one processor nobody ever spins. */
    if (!sp->pauses_ns)
        return;
    pthread_mutex_lock(&sp->grants_lock);
    set(sp, wanted_ns);
    spin_grants_tell(sp);
    pthread_mutex_unlock(&sp->grants_lock);
}
