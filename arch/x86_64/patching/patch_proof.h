/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where an instruction begins whoever runs the code. A guest that calls from a
 * place shows that there is an instruction for that guest: it may have jumped
 * into the middle of another one, whose bytes look like a call. What is to be
 * patched for others needs more.
 */
#ifndef ARCH_X86_64_PATCHING_PATCH_PROOF_H
#define ARCH_X86_64_PATCHING_PATCH_PROOF_H

#include "patch_window.h"

/* Bytes before the first that is replaced which are looked at, and the most that lie between that one and the ip. */
#define PATCH_PROOF_BEFORE 64
#define PATCH_PROOF_MOV    10

/*
 * Bit n: what a patch of the system call that ends at ip replaces may begin n
 * bytes before ip, for every program that has these bytes in its code. 0: none
 * can be patched for others.
 */
uint32_t patch_proof_starts(const struct patch_window *window, uint64_t ip);

#endif
