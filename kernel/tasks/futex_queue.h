/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The lists of tasks that wait for futexes. */
#ifndef TRAPGATE_KERNEL_FUTEX_QUEUE_H
#define TRAPGATE_KERNEL_FUTEX_QUEUE_H

#include <stdint.h>

struct sandbox;
struct task;

/*
 * What identifies a futex: memory that is shared between address spaces counts
 * by the object behind it, everything else by address space and address. Both
 * take their numbers from one counter, so they never meet.
 */
struct futex_key {
    uint64_t object;
    uint64_t offset;
};

/* The list on which those who wait for it are, among others. */
struct futex_bucket *futex_queue_bucket(struct sandbox *sandbox, struct futex_key key);

void futex_queue_add(struct task *task, struct futex_key key, uint32_t bitset);

/* Takes the task off its list; harmless when it is on none. */
void futex_queue_leave(struct task *task);

#endif
