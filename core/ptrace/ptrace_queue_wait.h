/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How the owner of a queue waits. */
#ifndef CORE_PTRACE_QUEUE_WAIT_H
#define CORE_PTRACE_QUEUE_WAIT_H

#include "core/ptrace/ptrace_queue_types.h"

int ptrace_queue_claim(struct ptrace_queue *queue, struct tracer *tracer);
/* queues_lock and queue->lock are held. */
void ptrace_queue_disown(struct ptrace_queue *queue);
/* What goes by the clock, whatever else there is to do: turns end, and what computes may go to other processors. */
void ptrace_queue_upkeep(struct ptrace_queue *queue);
/* Until a tracee stops; submit, interrupt and wake signal the bell. */
void ptrace_queue_sleep_once(struct ptrace_queue *queue, int64_t until_ns);
int ptrace_queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *n);
/* Whoever sleeps in one of these looks again. Pairs with show_bell(). */
void ptrace_queue_rouse(struct tg_queue *queue);

#endif
