/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* spin_pause.h - tells the processor that this is a loop that waits. */
#ifndef TRAPGATE_BENCH_SPIN_PAUSE_H
#define TRAPGATE_BENCH_SPIN_PAUSE_H

static inline void spin_pause(void)
{
    __builtin_ia32_pause();
}

#endif
