/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What tg_queue_create() and submit do. */
#ifndef CORE_PTRACE_QUEUE_H
#define CORE_PTRACE_QUEUE_H

#include "core/ptrace/ptrace_types.h"

int ptrace_queue_create(struct tg_queue *queue);
int ptrace_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);

#endif
