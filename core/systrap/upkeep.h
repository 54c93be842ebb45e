/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a queue's collecting thread does by the clock, whatever it finds in the rings. */
#ifndef CORE_SYSTRAP_UPKEEP_H
#define CORE_SYSTRAP_UPKEEP_H

#include "core/systrap/systrap_queue_types.h"

/* Sees to it that waiting contexts get workers, and that those that run give way. Until when a sleep may last. */
int64_t systrap_queue_find_workers(struct systrap_queue *queue, int64_t until_ns);
/* Does what is due by now. */
void systrap_queue_upkeep(struct systrap_queue *queue, int64_t now);
/* The same for a wait that has found something: it does not read the clock each time. */
void systrap_queue_upkeep_at_times(struct systrap_queue *queue);

#endif
