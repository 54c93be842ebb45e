/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How contexts leave a queue without stopping by themselves. */
#ifndef CORE_PTRACE_QUEUE_ENDS_H
#define CORE_PTRACE_QUEUE_ENDS_H

#include "core/ptrace/ptrace_types.h"

void ptrace_queue_destroy(struct tg_queue *queue);
/* The subprocess was killed by destroy: hands out the DEAD events of what ran in it. */
void ptrace_queue_subprocess_dead(struct ptrace_subprocess *subprocess);
/* The owner's thread ends: what runs goes back to the incoming list. */
void ptrace_queue_owner_ends(struct tracer *tracer);

#endif
