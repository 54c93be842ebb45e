/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the owner of a queue does with stub threads. */
#ifndef CORE_PTRACE_QUEUE_RUN_H
#define CORE_PTRACE_QUEUE_RUN_H

#include "core/ptrace/ptrace_queue_types.h"

/* queue->lock is held for these five. */
int ptrace_queue_start_incoming(struct ptrace_queue *queue);
/* Those that were interrupted before their turn has come. */
void ptrace_queue_finish_interrupted(struct ptrace_queue *queue);
/* While they wait for their turn, an interrupt signals the bell. */
void ptrace_queue_arm_incoming(struct ptrace_queue *queue);
/* Its subprocess is shut: its event is ready, and its visit there over, which destroy waits for. */
void ptrace_queue_end_incoming(struct ptrace_queue *queue, struct ptrace_context *context);
/* Back to the incoming list, or to the ready list when its stub is dead. */
void ptrace_queue_requeue(struct ptrace_queue *queue, struct ptrace_context *context);

/* Handles one stop of a tracee; options as for waitpid(2). */
bool ptrace_queue_collect_one(struct ptrace_queue *queue, int options);
/* All stops that are there. */
void ptrace_queue_collect(struct ptrace_queue *queue);

#endif
