/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting on a word of guest memory. */
#ifndef TRAPGATE_KERNEL_FUTEX_WORD_H
#define TRAPGATE_KERNEL_FUTEX_WORD_H

#include <stdint.h>

struct task;

/* Wakes up to count waiters of the word at this address of the task's memory. */
void futex_wake(struct task *task, uint64_t addr, uint32_t count);

/* Marks the robust mutexes that an ending thread holds as orphaned and wakes a waiter of each. */
void futex_release_robust_list(struct task *task);

#endif
