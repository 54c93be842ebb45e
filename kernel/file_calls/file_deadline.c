/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "file_calls/file_deadline.h"

#include <errno.h>
#include <sys/time.h>
#include <time.h>

#include "memory/guest_copy.h"
#include "memory/read_once.h"
#include "memory/task_memory.h"
#include "signals/signals.h"
#include "tasks/task.h"

#define NS_PER_SECOND INT64_C(1000000000)

static int64_t deadline_of_ns(const struct task *task, int64_t ns)
{
    if (ns == 0 || task->wake == WAKE_TIMEOUT)
        return DEADLINE_NOW;
    return task->wake == WAKE_NONE ? deadline_after(ns) : task->wait.deadline;
}

int64_t deadline_of_milliseconds(const struct task *task, int64_t milliseconds)
{
    return milliseconds < 0 ? DEADLINE_NEVER : deadline_of_ns(task, milliseconds * 1000000);
}

/* Seconds beyond what nanoseconds can hold are for ever. */
static int64_t deadline_of_parts(const struct task *task, int64_t seconds, int64_t ns, int64_t *out)
{
    if (seconds < 0 || ns < 0 || ns >= NS_PER_SECOND)
        return -EINVAL;
    *out = seconds >= INT64_MAX / NS_PER_SECOND ? DEADLINE_NEVER : deadline_of_ns(task, seconds * NS_PER_SECOND + ns);
    return 0;
}

int64_t deadline_of_timespec(struct task *task, uint64_t addr, int64_t *out)
{
    struct timespec value;
    int err;

    *out = DEADLINE_NEVER;
    if (addr == 0)
        return 0;
    err = read_once(task, addr, &value, sizeof(value));
    if (err != 0)
        return err;
    return deadline_of_parts(task, value.tv_sec, value.tv_nsec, out);
}

int64_t deadline_of_timeval(struct task *task, uint64_t addr, int64_t *out)
{
    struct timeval value;
    int err;

    *out = DEADLINE_NEVER;
    if (addr == 0)
        return 0;
    err = read_once(task, addr, &value, sizeof(value));
    if (err != 0)
        return err;
    if (value.tv_sec < 0 || value.tv_usec < 0)
        return -EINVAL;
    if (value.tv_sec >= INT64_MAX / NS_PER_SECOND)
        return 0;
    /* select(2) takes more than a second of microseconds. */
    return deadline_of_parts(task, value.tv_sec + value.tv_usec / 1000000, value.tv_usec % 1000000 * 1000, out);
}

static struct timespec remaining_until(int64_t deadline)
{
    int64_t left = deadline == DEADLINE_NOW ? 0 : deadline - monotonic_now();

    if (left < 0)
        left = 0;
    return (struct timespec){.tv_sec = left / NS_PER_SECOND, .tv_nsec = left % NS_PER_SECOND};
}

void write_remaining_timespec(const struct task *task, uint64_t addr, int64_t deadline)
{
    struct timespec left;

    if (addr == 0 || deadline == DEADLINE_NEVER)
        return;
    left = remaining_until(deadline);
    (void)guest_write(task_memory(task), addr, &left, sizeof(left));
}

void write_remaining_timeval(const struct task *task, uint64_t addr, int64_t deadline)
{
    struct timespec left;
    struct timeval value;

    if (addr == 0 || deadline == DEADLINE_NEVER)
        return;
    left = remaining_until(deadline);
    value = (struct timeval){.tv_sec = left.tv_sec, .tv_usec = left.tv_nsec / 1000};
    (void)guest_write(task_memory(task), addr, &value, sizeof(value));
}

int64_t wait_for_files(struct task *task, const struct pollfd *fds, size_t count, int64_t deadline)
{
    int64_t result = task_wait_fds(task, fds, count, deadline);

    task_wait_never_restarts(task);
    return result;
}

int64_t apply_signal_mask(struct task *task, uint64_t addr, uint64_t size)
{
    uint64_t mask;

    if (addr == 0 || task->wake != WAKE_NONE)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    if (guest_read_u64(task_memory(task), addr, &mask) != 0)
        return -EFAULT;
    signal_set_temporary_mask(task, mask);
    return 0;
}
