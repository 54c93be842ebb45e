/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The jump from C into the stub. Written in assembly: nothing of the C side may be needed any more. */
#ifndef ARCH_STUB_ENTER_H
#define ARCH_STUB_ENTER_H

#include <stdint.h>
#include <sys/types.h>

__attribute__((noreturn)) void stub_enter(uint64_t stub_start, uint64_t stub_end, uint64_t cookie, pid_t embedder);
__attribute__((noreturn)) void systrap_enter(uint64_t region, int file, pid_t embedder);

#endif
