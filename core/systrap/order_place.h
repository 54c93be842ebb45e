/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where a stub's syscall thread runs. Whoever gives it an order sleeps until
 * the reply, so that both fit on one processor, and there each wakes the other
 * without an interrupt of a second processor, which may have to be roused first
 * or have others to run. Where it is to spin it runs on another one. What it
 * makes begins where it is: a worker may run anywhere (new_worker of the stub's
 * entry code), and a process is placed with its first order.
 */
#ifndef CORE_SYSTRAP_ORDER_PLACE_H
#define CORE_SYSTRAP_ORDER_PLACE_H

#include <limits.h>

#include "core/systrap/systrap_types.h"

/* Of a new process. */
#define PLACED_UNKNOWN INT_MIN

/* Before it is woken; order_lock is held. */
void order_place(struct systrap_subprocess *subprocess, bool spins);

#endif
