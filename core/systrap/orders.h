/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls by the syscall thread. */
#ifndef CORE_SYSTRAP_ORDERS_H
#define CORE_SYSTRAP_ORDERS_H

#include "core/systrap/systrap_types.h"

struct answer {
    int64_t result; /* of the last call made */
    uint32_t left;  /* calls that were not made or failed */
};

/* order_lock is held. 0 or -ESRCH. */
int orders_give(struct systrap_subprocess *subprocess, size_t n, struct answer *answer);
/* Waits for the answer to the subprocess's first order, which it was made with. */
int orders_first_answer(struct systrap_subprocess *subprocess, struct answer *answer);
/* The stub, which is dead for everybody else, is to end by itself: the host lets nobody kill it. */
void orders_leave(struct systrap_subprocess *subprocess);

#endif
