/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Host calls that a stub's syscall thread makes for the library. */
#ifndef CORE_SYSTRAP_ORDERS_H
#define CORE_SYSTRAP_ORDERS_H

#include "core/systrap/systrap_types.h"

struct order_reply {
    int64_t result; /* of the last call made */
    uint32_t left;  /* calls that were not made or failed */
};

/* Has the syscall thread make the first n calls of the order's memory, and waits. order_lock is held. 0 or -ESRCH. */
int orders_give(struct systrap_subprocess *subprocess, size_t n, struct order_reply *reply);
/* An order comes soon: the syscall thread wakes up meanwhile. order_lock is held. */
void orders_announce(struct systrap_subprocess *subprocess);
/* Waits for the reply to the subprocess's first order, which it was made with. */
int orders_first_reply(struct systrap_subprocess *subprocess, struct order_reply *reply);
/* Tells a stub to end by itself: its subprocess is dead, and the host lets nobody kill the process. */
void orders_leave(struct systrap_subprocess *subprocess);

#endif
