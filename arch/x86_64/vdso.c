/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The library's own vDSO: the functions that C libraries and Go look for, by
 * the names and the version that the kernel's has. What it cannot answer it
 * makes a call of, which is an event like any other.
 */
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "vdso_reader.h"

#define NS_PER_US 1000u
#define EXPORTED  __attribute__((visibility("default")))

/* By the linker script, right below. */
extern const struct vdso_clock tg_vdso_clocks[VDSO_CLOCKS] __attribute__((visibility("hidden")));

EXPORTED int vdso_clock_gettime(clockid_t clock, struct timespec *time) __asm__("__vdso_clock_gettime");
EXPORTED int vdso_gettimeofday(struct timeval *time, struct timezone *zone) __asm__("__vdso_gettimeofday");
EXPORTED time_t vdso_time(time_t *time) __asm__("__vdso_time");

static inline long call(long number, uint64_t first, uint64_t second)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

int vdso_clock_gettime(clockid_t clock, struct timespec *time)
{
    struct vdso_moment now;

    if ((uint32_t)clock >= VDSO_CLOCKS || !vdso_read(&tg_vdso_clocks[clock], &now))
        return (int)call(SYS_clock_gettime, (uint64_t)(int64_t)clock, (uintptr_t)time);
    time->tv_sec = (time_t)now.seconds;
    time->tv_nsec = (long)now.rest;
    return 0;
}

int vdso_gettimeofday(struct timeval *time, struct timezone *zone)
{
    struct vdso_moment now;

    if (zone || !vdso_read(&tg_vdso_clocks[CLOCK_REALTIME], &now))
        return (int)call(SYS_gettimeofday, (uintptr_t)time, (uintptr_t)zone);
    if (time) {
        time->tv_sec = (time_t)now.seconds;
        time->tv_usec = (suseconds_t)(now.rest / NS_PER_US);
    }
    return 0;
}

time_t vdso_time(time_t *time)
{
    struct vdso_moment now;

    if (!vdso_read(&tg_vdso_clocks[CLOCK_REALTIME], &now))
        return (time_t)call(SYS_time, (uintptr_t)time, 0);
    if (time)
        *time = (time_t)now.seconds;
    return (time_t)now.seconds;
}
