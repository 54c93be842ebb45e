/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which instructions behind a system call can be displaced. */
#ifndef ARCH_X86_64_PATCHING_PATCH_NEIGHBOUR_H
#define ARCH_X86_64_PATCHING_PATCH_NEIGHBOUR_H

#include "arch/patch_refusal.h"
#include "patch_window.h"

/*
 * PATCH_OK: the instruction at this address of the window can be executed at
 * another one, with the same effect, and without fault unless accesses are
 * allowed.
 */
enum patch_refusal patch_neighbour_decode(const struct patch_window *window, uint64_t addr, bool accesses_allowed,
                                          struct patch_instruction *d);

#endif
