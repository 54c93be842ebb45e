/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How a thread of the embedder spins before it sleeps, and when it does not:
 * where spinning has been futile for long, or others spin already. First a
 * waiter looks for what it waits for in quick succession, each in its own way
 * since that is what a patched call is measured by; what comes then is here.
 */
#ifndef CORE_SYSTRAP_SPINNING_H
#define CORE_SYSTRAP_SPINNING_H

#include "core/systrap/systrap_types.h"
#include "stub/systrap_spin.h"

#define SPIN_CHECK_EVERY 64 /* pauses between looks at the clock */

/*
 * futile: the wait's own, as spin_is_futile() takes it. It says nothing of other waits: where many threads wait, those
 * that find others spinning sleep, and that is no reason for those to sleep too.
 */
static inline bool spin_is_worth_it(const struct systrap_platform *sp, uint32_t futile)
{
    return atomic_load_explicit(&sp->spin_ns, memory_order_relaxed) && !spin_is_futile(futile);
}

/* One more thread spins; false: it must not, there are enough. spin_end() follows in any case. */
bool spin_begin(struct systrap_platform *sp);
/* Asked after each SPIN_CHECK_EVERY pauses: may the thread spin on? until_ns: 0 before the first time. */
bool spin_goes_on(int64_t spin_ns, int64_t *until_ns);
void spin_end(struct tg_platform *platform, uint32_t *futile, bool found);

/* Looks again and again for spin_ns, with pauses. Inlined with its condition, so that no look costs a call. */
__attribute__((always_inline)) static inline bool spin_until(struct tg_platform *platform, int64_t spin_ns,
                                                             uint32_t *futile, bool (*is_there)(const void *arg),
                                                             const void *arg)
{
    struct systrap_platform *sp = systrap_platform(platform);
    int64_t until_ns = 0;
    bool found = false;

    if (spin_begin(sp)) {
        do {
            for (int i = 0; i < SPIN_CHECK_EVERY && !found; i++) {
                tgi_arch_systrap->pause();
                found = is_there(arg);
            }
        } while (!found && spin_goes_on(spin_ns, &until_ns));
    }
    spin_end(platform, futile, found);
    return found;
}

#endif
