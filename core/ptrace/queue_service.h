/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A queue with a descriptor. */
#ifndef CORE_PTRACE_QUEUE_SERVICE_H
#define CORE_PTRACE_QUEUE_SERVICE_H

#include "core/ptrace/ptrace_queue_types.h"

int ptrace_queue_hand_over(struct tg_queue *queue);
int ptrace_queue_thread(pthread_t *thread, void *(*main)(void *arg), void *arg);
void ptrace_queue_serve(struct tg_queue *queue);

#endif
