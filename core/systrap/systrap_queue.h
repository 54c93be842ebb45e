/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Queues: submit, the service, create and destroy. */
#ifndef CORE_SYSTRAP_QUEUE_H
#define CORE_SYSTRAP_QUEUE_H

#include "core/systrap/systrap_types.h"

int systrap_queue_create(struct tg_queue *queue);
int systrap_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);
void systrap_queue_serve(struct tg_queue *queue);
void systrap_queue_destroy(struct tg_queue *queue);

#endif
