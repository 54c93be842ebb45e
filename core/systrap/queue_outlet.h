/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How whoever waits on a queue hears that there is something. */
#ifndef CORE_SYSTRAP_QUEUE_OUTLET_H
#define CORE_SYSTRAP_QUEUE_OUTLET_H

#include "core/systrap/systrap_queue_types.h"

/* Whoever sleeps for the queue looks again. */
void systrap_queue_rouse(struct systrap_queue *queue);
/* The descriptor, if there is one, becomes readable. After what is to be seen was stored: start_service(). */
void systrap_queue_ring_fd(const struct systrap_queue *queue);

#endif
