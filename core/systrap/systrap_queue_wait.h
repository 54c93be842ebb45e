/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting on a queue. */
#ifndef CORE_SYSTRAP_QUEUE_WAIT_H
#define CORE_SYSTRAP_QUEUE_WAIT_H

#include "core/systrap/systrap_queue_types.h"

/* One round: spin, sleep, collect. False: the time is over. */
bool systrap_queue_wait_once(struct systrap_queue *queue, struct sink *sink, int64_t until);
int systrap_queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                       size_t *count);
int systrap_queue_wake(struct tg_queue *queue);

/* One thread waits at a time. */
static inline bool systrap_queue_enter_wait(struct systrap_queue *queue)
{
    return !atomic_exchange(&queue->waiting, true);
}

static inline void systrap_queue_leave_wait(struct systrap_queue *queue)
{
    atomic_store_explicit(&queue->waiting, false, memory_order_release);
}

#endif
