/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/guest_time.h"

#include <errno.h>

#include "memory/guest_copy.h"
#include "tasks/task.h"

#define NS_PER_S INT64_C(1000000000)

int nanoseconds_of(const struct timespec *time, int64_t *ns)
{
    if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= NS_PER_S)
        return -EINVAL;
    if (__builtin_mul_overflow((int64_t)time->tv_sec, NS_PER_S, ns) || __builtin_add_overflow(*ns, time->tv_nsec, ns))
        *ns = INT64_MAX;
    return 0;
}

int guest_read_timespec(tg_subprocess *memory, uint64_t addr, int64_t *ns)
{
    struct timespec value;
    int err = guest_read(memory, addr, &value, sizeof(value));

    return err ? err : nanoseconds_of(&value, ns);
}

int guest_write_timespec(tg_subprocess *memory, uint64_t addr, int64_t ns)
{
    struct timespec value = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    return guest_write(memory, addr, &value, sizeof(value));
}

int64_t deadline_at_clock(clockid_t clock, int64_t ns)
{
    struct timespec now;

    if (clock == CLOCK_MONOTONIC)
        return ns;
    if (clock_gettime(clock, &now) != 0)
        return DEADLINE_NEVER;
    return deadline_after(ns - ((int64_t)now.tv_sec * NS_PER_S + now.tv_nsec));
}
