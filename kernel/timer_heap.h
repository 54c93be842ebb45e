/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Tasks that wait with a deadline, the nearest one first. */
#ifndef TRAPGATE_KERNEL_TIMER_HEAP_H
#define TRAPGATE_KERNEL_TIMER_HEAP_H

#include <stddef.h>

struct task;

struct timer_heap {
    struct task **tasks;
    size_t count;
    size_t capacity;
};

/* Adds the task by its wait.deadline. 0 or -ENOMEM. */
int timer_heap_add(struct timer_heap *heap, struct task *task);

/* Harmless for a task that is not in it. */
void timer_heap_remove(struct timer_heap *heap, struct task *task);

/* The task with the nearest deadline, or NULL. */
struct task *timer_heap_first(const struct timer_heap *heap);

void timer_heap_free(struct timer_heap *heap);

#endif
