/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Queues: submit, the descriptor, create and destroy. */
#ifndef CORE_SYSTRAP_QUEUE_H
#define CORE_SYSTRAP_QUEUE_H

#include "core/systrap/systrap_types.h"

int systrap_queue_create(struct tg_queue *queue);
int systrap_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);
int systrap_queue_fd(struct tg_queue *queue);
void systrap_queue_destroy(struct tg_queue *queue);
void systrap_queue_forget(struct tg_queue *queue);

#endif
