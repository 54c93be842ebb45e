/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CORE_SYSTRAP_QUEUE_ROUSE_H
#define CORE_SYSTRAP_QUEUE_ROUSE_H

#include "core/systrap/systrap_queue_types.h"

/* Whoever sleeps for the queue looks again. */
void systrap_queue_rouse(struct tg_queue *queue);

#endif
