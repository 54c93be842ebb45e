/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* When a side that waits need not spin any more; the same on both sides. */
#ifndef SYSTRAP_SPIN_H
#define SYSTRAP_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_FUTILE_MAX  8 /* from then on only each of so many waits spins: */
#define SPIN_RETRY_EVERY 32

/*
 * futile: waits in a row for which spinning was too short, or was not tried. On a machine that stays busy it is to cost
 * little, and one that is not busy any more is to be noticed soon.
 */
static inline bool spin_is_futile(uint32_t futile)
{
    return futile >= SPIN_FUTILE_MAX && futile % SPIN_RETRY_EVERY;
}

#endif
