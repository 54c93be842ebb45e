/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* own_vdso.h - the library's own vDSO in a guest. */
#ifndef TRAPGATE_BENCH_OWN_VDSO_H
#define TRAPGATE_BENCH_OWN_VDSO_H

#include <trapgate/trapgate.h>

/* How far behind its begin clock_gettime() is. Skips where it cannot be read. */
uint64_t own_vdso_clock_offset(const tg_subprocess *subprocess, uint64_t vdso);

#endif
