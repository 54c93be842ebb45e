/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting on a queue. */
#ifndef CORE_SYSTRAP_QUEUE_WAIT_H
#define CORE_SYSTRAP_QUEUE_WAIT_H

#include "core/systrap/systrap_queue_types.h"

/* One pass of a wait: spins, sleeps, collects. False: the time is over. */
bool systrap_queue_wait_once(struct systrap_queue *queue, struct sink *sink, int64_t until);
int systrap_queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                       size_t *count);
bool systrap_queue_has_ready(struct tg_queue *queue);
size_t systrap_queue_hand_out(struct tg_queue *queue, void *events, size_t stride, size_t capacity);

#endif
