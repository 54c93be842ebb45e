/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* In which order the contexts of a queue come; queue->lock is held for all. */
#ifndef CORE_PTRACE_QUEUE_TURNS_H
#define CORE_PTRACE_QUEUE_TURNS_H

#include "core/ptrace/ptrace_queue_types.h"

void ptrace_queue_init_turns(struct ptrace_queue *queue);
/* The context comes in, in no line yet. 0 or -ENOMEM. */
int ptrace_queue_join(struct ptrace_queue *queue, struct ptrace_context *context);
/* It goes. */
void ptrace_queue_part(struct ptrace_context *context);
/* NULL: the subprocess has no context in the queue. */
struct queue_party *ptrace_queue_find_party(struct ptrace_queue *queue, const struct ptrace_subprocess *subprocess);
/* From wherever it is. */
void ptrace_queue_line_up(struct ptrace_queue *queue, enum queue_line line, struct ptrace_context *context);
void ptrace_queue_leave_line(struct ptrace_context *context);
/* Whose turn it is; NULL: the line is empty. It stays there. */
struct ptrace_context *ptrace_queue_next(const struct ptrace_queue *queue, enum queue_line line);
/* Another subprocess is next. */
void ptrace_queue_pass_turn(struct ptrace_queue *queue, enum queue_line line, struct queue_turn *turn);
/* All in the incoming line; the visitor may take the context out. */
void ptrace_queue_for_each_waiting(struct ptrace_queue *queue,
                                   void (*visit)(struct ptrace_queue *queue, struct ptrace_context *context));
static inline bool ptrace_queue_line_empty(const struct ptrace_queue *queue, enum queue_line line)
{
    return list_empty(&queue->lines[line]);
}

#endif
