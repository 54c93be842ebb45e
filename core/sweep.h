/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Makes sure that a new stub process has nothing but its own memory. Stub code
 * unmaps the rest in three large pieces, and goes on where the kernel says
 * that there is something sealed in one: then the library goes round that.
 * Newer kernels seal what they map into every process, such as the vDSO.
 */
#ifndef CORE_SWEEP_H
#define CORE_SWEEP_H

#include <stdint.h>

#include "core/platform.h"

/* munmap(2) in the stub: 0 or -errno. */
typedef int sweep_call(void *arg, uint64_t start, uint64_t end);

/*
 * All of user space outside of the stub's own [start, end). What stays is
 * added to the reserved ranges of tg_info, or is the vDSO that it tells of. 0 or -errno; -EPERM: too much of
 * it, or munmap(2) is refused altogether.
 */
int sweep_all(struct tg_platform *platform, uint64_t start, uint64_t end, sweep_call *unmap, void *arg);

#endif
