/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* When a side that waits need not spin any more; the same on both sides. */
#ifndef SYSTRAP_SPIN_H
#define SYSTRAP_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_FUTILE_MAX  8    /* from then on few waits still spin: */
#define SPIN_RETRY_EVERY 1024 /* those after each power of two, and after each of as many */

/*
 * futile: waits in a row for which spinning was too short, or was not tried. The longer that lasts, the rarer it is
 * tried again: on a machine that stays busy it is to cost nothing.
 */
static inline bool spin_is_futile(uint32_t futile)
{
    return futile > SPIN_FUTILE_MAX && futile & (futile - 1) && futile % SPIN_RETRY_EVERY;
}

#endif
