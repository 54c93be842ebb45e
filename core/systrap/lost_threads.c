/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <signal.h>

#include "core/systrap/child.h"
#include "core/systrap/death.h"
#include "core/systrap/lost_threads.h"
#include "core/systrap/watchdog.h"

#define PATIENCE_NS (5 * WATCHDOG_ROUND_NS)

/*
 * Have some threads ended and others not? Where all have, the process is ending,
 * however long its memory takes. In a new process there is a worker whose number
 * the library does not know before the syscall thread has given its first reply.
 */
static bool has_lost_some(struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);
    bool lost = !child_has_thread(subprocess, 0);
    bool lives = !lost || n == 0;

    for (uint32_t i = 0; i < n; i++) {
        if (child_has_thread(subprocess, subprocess->workers[i]))
            lives = true;
        else
            lost = true;
    }
    return lost && lives;
}

/*
 * A process that was killed has lost some threads too, but not for so long: the
 * others end as soon as they have a processor.
 */
bool lost_threads_look(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    int64_t none = 0;

    if (!has_lost_some(subprocess)) {
        atomic_store(&subprocess->watch.lost_at, 0);
        return false;
    }
    if (atomic_compare_exchange_strong(&subprocess->watch.lost_at, &none, now_ns) || now_ns - none < PATIENCE_NS)
        return false;
    systrap_subprocess_die(subprocess, TG_DEAD_KILLED, SIGSYS);
    return true;
}
