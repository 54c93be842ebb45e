/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What tg_queue_create(), submit, wait and wake do. */
#ifndef CORE_PTRACE_QUEUE_H
#define CORE_PTRACE_QUEUE_H

#include "core/ptrace/ptrace_types.h"

int ptrace_queue_create(struct tg_queue *queue);
int ptrace_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);
int ptrace_queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *count);
int ptrace_queue_wake(struct tg_queue *queue);

#endif
