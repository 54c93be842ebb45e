/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Writes what a plan changes: the jump at a site, and its trampoline. */
#ifndef ARCH_X86_64_PATCHING_PATCH_BYTES_H
#define ARCH_X86_64_PATCHING_PATCH_BYTES_H

#include "patch_plan.h"

void patch_put_le64(uint8_t *to, uint64_t value);

/* All of a plan's replacement: the jump through the pointer at table_entry, and bytes that trap behind it. */
void patch_put_jump(uint8_t replacement[PATCH_SITE_MAX], bool after, uint64_t table_entry);

/* The trampoline of a plan whose site and original bytes are there, and where it is. */
void patch_put_trampoline(const struct patch_request *request, struct patch_plan *plan);

#endif
