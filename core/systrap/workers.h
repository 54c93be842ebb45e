/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stub threads that run guests. */
#ifndef CORE_SYSTRAP_WORKERS_H
#define CORE_SYSTRAP_WORKERS_H

#include "core/systrap/orders.h"

/* Called after something was put into the run ring: wakes a worker, unless one is awake that will take it. */
void workers_wake_one(struct systrap_subprocess *subprocess);
void worker_wake(struct systrap_subprocess *subprocess, uint32_t index);
/* Something has waited in the run ring for too long: wakes or makes another worker. True: there is one more. */
bool workers_add(struct systrap_subprocess *subprocess);
/* True: one slept, and is awake now. */
bool workers_wake_a_sleeper(struct systrap_subprocess *subprocess);
bool workers_backlog(const struct systrap_subprocess *subprocess);
/* The call that makes the next one, and what it gave. order_lock is held, or nobody else knows the subprocess. */
struct stub_call workers_call(struct systrap_subprocess *subprocess);
int workers_note(struct systrap_subprocess *subprocess, const struct order_reply *reply);
void worker_kick(struct systrap_subprocess *subprocess, uint32_t index);

#endif
