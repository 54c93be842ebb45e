/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* By the collecting thread: what must be seen to whatever it finds. */
#ifndef CORE_SYSTRAP_UPKEEP_H
#define CORE_SYSTRAP_UPKEEP_H

#include "core/systrap/systrap_queue_types.h"

/* Contexts find workers, and give way to others. Until when a sleep may last. */
int64_t systrap_queue_find_workers(struct systrap_queue *queue, int64_t until_ns);
/* What is due. */
void systrap_queue_upkeep(struct systrap_queue *queue, int64_t now);
/* The same for a wait that has found something, and reads no clock for that alone each time. */
void systrap_queue_upkeep_at_times(struct systrap_queue *queue);

#endif
