/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Times in guest memory, and the deadlines made of them. */
#ifndef TRAPGATE_KERNEL_GUEST_TIME_H
#define TRAPGATE_KERNEL_GUEST_TIME_H

#include <stdint.h>
#include <time.h>

#include <trapgate/trapgate.h>

/* A struct timespec as nanoseconds, cut to INT64_MAX. 0, or -EINVAL for one that Linux refuses. */
int nanoseconds_of(const struct timespec *time, int64_t *ns);

/* Reads a struct timespec as nanoseconds, cut to INT64_MAX. 0, -EFAULT, or -EINVAL for one that Linux refuses. */
int guest_read_timespec(tg_subprocess *memory, uint64_t addr, int64_t *ns);

int guest_write_timespec(tg_subprocess *memory, uint64_t addr, int64_t ns);

/* The deadline (of CLOCK_MONOTONIC) that is the point in time ns of another clock. */
int64_t deadline_at_clock(clockid_t clock, int64_t ns);

#endif
