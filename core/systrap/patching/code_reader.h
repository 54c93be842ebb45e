/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guest code as it is at this moment, and as the guest wrote it. */
#ifndef CORE_SYSTRAP_PATCHING_CODE_READER_H
#define CORE_SYSTRAP_PATCHING_CODE_READER_H

#include "core/systrap/systrap_types.h"

/* What is there at this moment, jumps and all; order_lock is held. How many bytes, or -errno. */
ssize_t code_read_now(struct systrap_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);

/* What the guest wrote there; order_lock and the patches' lock are held. How many bytes, or -errno. */
ssize_t code_read_written(struct systrap_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);

/*
 * After a part was read, or could not be (copied: how many bytes, or -errno):
 * puts what the guest wrote in the place of the jumps there, and gives what
 * copied is then. Takes order_lock and the patches' lock.
 */
ssize_t code_read_original(struct tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length,
                           ssize_t copied);

#endif
