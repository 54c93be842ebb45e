/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How both sides of an order spin before they sleep, and when they do not: where no processor is to spare for that, or
 * orders do not come one right after the other. order_lock is held.
 */
#ifndef CORE_SYSTRAP_ORDER_SPINNING_H
#define CORE_SYSTRAP_ORDER_SPINNING_H

#include "core/systrap/systrap_types.h"

/* How often the syscall thread is to pause after its reply to the order that is about to be given. */
uint32_t order_pauses(struct systrap_subprocess *subprocess);
/* True: the reply to the order of that number is there. */
bool order_spin_for_reply(struct systrap_subprocess *subprocess, uint32_t sequence);
void order_replied(struct systrap_subprocess *subprocess);

#endif
