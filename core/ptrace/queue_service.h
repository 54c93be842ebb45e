/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue with a descriptor. */
#ifndef CORE_PTRACE_QUEUE_SERVICE_H
#define CORE_PTRACE_QUEUE_SERVICE_H

#include "core/ptrace/ptrace_queue_types.h"

int ptrace_queue_fd(struct tg_queue *queue);

int ptrace_queue_wait_on_fd(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity, int64_t until_ns,
                            size_t *n);

#endif
