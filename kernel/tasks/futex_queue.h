/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The lists of tasks that wait for futexes. */
#ifndef TRAPGATE_KERNEL_FUTEX_QUEUE_H
#define TRAPGATE_KERNEL_FUTEX_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox;
struct task;

/*
 * What identifies a futex: memory that is shared between address spaces counts
 * by the file behind it, however often that was mapped, everything else by
 * address space and address. No file of the host is on device 0, so they never meet.
 */
struct futex_key {
    uint64_t device;
    uint64_t object;
    uint64_t offset;
};

bool futex_key_equal(struct futex_key a, struct futex_key b);

/* The list on which those who wait for it are, among others. */
struct futex_bucket *futex_queue_bucket(struct sandbox *sandbox, struct futex_key key);

void futex_queue_add(struct task *task, struct futex_key key, uint32_t bitset);

/* Takes the task off its list; harmless when it is on none. */
void futex_queue_leave(struct task *task);

#endif
