/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* host_vdso.h - the vDSO of this process, and its clock_gettime(). */
#ifndef TRAPGATE_BENCH_HOST_VDSO_H
#define TRAPGATE_BENCH_HOST_VDSO_H

#include <stdint.h>
#include <time.h>

typedef int clock_function(clockid_t clock, struct timespec *time);

/* Both skip the sample where there is none. */
clock_function *host_vdso_clock(void);
uint64_t host_vdso_clock_offset(void);

#endif
