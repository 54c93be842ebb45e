/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the contexts of a queue are. */
#ifndef CORE_PTRACE_QUEUE_LISTS_H
#define CORE_PTRACE_QUEUE_LISTS_H

#include "core/ptrace/ptrace_queue_types.h"

/* queue->lock is held for these three. */
void ptrace_queue_make_ready(struct ptrace_queue *queue, struct ptrace_context *context);
void ptrace_queue_make_running(struct ptrace_queue *queue, struct ptrace_context *context, struct stub_thread *thread);
/* It stays in the running list: the caller moves it. */
struct stub_thread *ptrace_queue_take_off_thread(struct ptrace_queue *queue, struct ptrace_context *context);

bool ptrace_queue_has_ready(struct tg_queue *queue);
bool ptrace_queue_anything_running(struct ptrace_queue *queue);
size_t ptrace_queue_hand_out(struct tg_queue *queue, void *events, size_t stride, size_t capacity);

#endif
