/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How whoever waits on a queue hears that there is something. It sleeps as its
 * backend does; or on the descriptor, and then a thread of the library, the
 * service, collects and puts what it finds where the waiter only takes it.
 */
#ifndef CORE_QUEUE_OUTLET_H
#define CORE_QUEUE_OUTLET_H

#include "core/handles.h"

/* What tg_queue_wait(), tg_queue_wake() and tg_queue_fd() do. */
int queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns, size_t *count);
int queue_wake(struct tg_queue *queue);
int queue_fd(struct tg_queue *queue);

static inline bool queue_has_fd(const struct tg_queue *queue)
{
    return atomic_load(&queue->fd) >= 0;
}

/* The descriptor, if there is one, becomes readable. After what is to be seen was stored. */
void queue_outlet_notify(const struct tg_queue *queue);
/* It is readable no more. With the lock under which the caller saw that nothing is ready. */
void queue_outlet_clear(const struct tg_queue *queue);

void queue_outlet_init(struct tg_queue *queue);
/* The queue is to be destroyed: the service ends, if there is one. */
void queue_outlet_stop(struct tg_queue *queue);
/* Nobody notifies it any more. */
void queue_outlet_close(struct tg_queue *queue);

#endif
