/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Reading the guest's memory in a call that waits. Its handler is called
 * again from its start, and other threads may have written there since: it gets
 * what it got the first time, and never looks at that memory again. Handlers
 * that can wait read all their arguments with these functions.
 */
#ifndef TRAPGATE_KERNEL_READ_ONCE_H
#define TRAPGATE_KERNEL_READ_ONCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <trapgate/trapgate.h>

struct task;

/* As guest_read() and guest_read_u64(). 0, -EFAULT or -ENOMEM. */
int read_once(struct task *task, uint64_t addr, void *buffer, size_t length);
int read_once_u64(struct task *task, uint64_t addr, uint64_t *out);

/* Several that guest_reading() made, in one go, as guest_transfer(). 0, -EFAULT or -ENOMEM. */
int read_once_ranges(struct task *task, tg_transfer *ranges, size_t count);

/* As guest_read_string(). */
ssize_t read_string_once(struct task *task, uint64_t addr, char *buffer, size_t capacity);

#endif
