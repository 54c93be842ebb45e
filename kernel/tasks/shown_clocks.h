/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The clocks that guests read without a call, where the library has given them
 * a vDSO of its own: the host's, which time/follow_host.c looks at now and then.
 */
#ifndef TRAPGATE_KERNEL_SHOWN_CLOCKS_H
#define TRAPGATE_KERNEL_SHOWN_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <trapgate/trapgate.h>

#include "tasks/timer_heap.h"

#define CLOCKS_FOLLOWED 5
#define CLOCKS_SHOWN    7 /* those, and coarse ones, which are as exact */

struct sandbox;

struct guest_clocks {
    struct timer timer; /* of the next look */
    struct sandbox *sandbox;
    int64_t interval;
    tg_host_clock hosts[CLOCKS_FOLLOWED];
    tg_clock shown[CLOCKS_SHOWN]; /* as they were looked at last, the followed ones first */
};

bool guest_clocks_are_own(const struct sandbox *sandbox);

/* For a new address space; nothing where guests have another vDSO, or none. A fork inherits them. */
void guest_clocks_offer(const struct sandbox *sandbox, tg_subprocess *subprocess);

/* What a call gets of a clock of the whole system: what guests read of it, or else the host's. 0 or -errno. */
int guest_clock_now(const struct sandbox *sandbox, tg_subprocess *subprocess, clockid_t clock, struct timespec *now);

#endif
