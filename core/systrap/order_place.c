/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sched.h>

#include "core/systrap/child.h"
#include "core/systrap/order_place.h"

/* What stands for any processor but that, where its number stands for the processor itself. */
static int apart_from(int cpu)
{
    return -1 - cpu;
}

static cpu_set_t processors_of(const struct systrap_platform *sp, int cpu, bool apart)
{
    cpu_set_t cpus = sp->allowed_cpus;

    if (apart) {
        CPU_CLR((size_t)cpu, &cpus);
    } else {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)cpu, &cpus);
    }
    return cpus;
}

void order_place(struct systrap_subprocess *subprocess, bool spins)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    cpu_set_t cpus;
    int place;
    int cpu;
    int err;

    if (!atomic_load_explicit(&sp->places, memory_order_relaxed))
        return;
    cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    place = spins ? apart_from(cpu) : cpu;
    if (place == subprocess->placed)
        return;
    cpus = processors_of(sp, cpu, spins);
    err = child_place(subprocess, &cpus);
    if (!err) {
        subprocess->placed = place;
        count(subprocess->base.platform, COUNTER_PLACEMENTS);
    } else if (err != -ESRCH) {
        /* The host does not allow it, or has other processors by now. */
        atomic_store(&sp->places, false);
    }
}
