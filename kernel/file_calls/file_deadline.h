/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How poll, select and epoll wait: their timeouts, in the three forms that they
 * come in, and their masks. A call that is made again after a wait keeps the deadline of the first
 * time.
 */
#ifndef TRAPGATE_KERNEL_FILE_DEADLINE_H
#define TRAPGATE_KERNEL_FILE_DEADLINE_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

struct task;

/* The guest only wants to look, or has waited for long enough. */
#define DEADLINE_NOW INT64_MIN

/* Negative: never. */
int64_t deadline_of_milliseconds(const struct task *task, int64_t milliseconds);

/* Of a struct at addr; addr 0: never. 0, -EFAULT or -EINVAL. */
int64_t deadline_of_timespec(struct task *task, uint64_t addr, int64_t *out);
int64_t deadline_of_timeval(struct task *task, uint64_t addr, int64_t *out);

/*
 * Writes what is left until the deadline over the timeout at addr, as Linux
 * does at the end of a call. One that cannot be written spoils nothing there
 * either. addr 0: nowhere.
 */
void write_remaining_timespec(const struct task *task, uint64_t addr, int64_t deadline);
void write_remaining_timeval(const struct task *task, uint64_t addr, int64_t deadline);

/* As task_wait_fds(), and a handler ends it with -EINTR: so do poll, select and epoll, with SA_RESTART too. */
int64_t wait_for_files(struct task *task, const struct pollfd *fds, size_t count, int64_t deadline);

/* The signal mask that goes with the wait; addr 0: none. 0, -EFAULT or -EINVAL. */
int64_t apply_signal_mask(struct task *task, uint64_t addr, uint64_t size);

#endif
