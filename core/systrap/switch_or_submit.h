/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A switch whose thread spins for a while, and then leaves the context to a queue. */
#ifndef CORE_SYSTRAP_SWITCH_OR_SUBMIT_H
#define CORE_SYSTRAP_SWITCH_OR_SUBMIT_H

#include "core/systrap/systrap_queue_types.h"

/* backend_ops.context_switch_or_submit */
int systrap_context_switch_or_submit(struct tg_context *context, struct tg_subprocess *subprocess,
                                     struct tg_queue *queue, int64_t spin_ns, struct tg_event *event);

#endif
