/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Pages that an operation of the embedder's has replaced, with the patches in
 * them: what was set aside for them is unmapped. order_lock and the patches'
 * lock are held.
 */
#ifndef CORE_SYSTRAP_PATCHING_GONE_PAGES_H
#define CORE_SYSTRAP_PATCHING_GONE_PAGES_H

#include "core/systrap/systrap_types.h"

/* An operation has replaced all pages in this range. */
void gone_pages_forget(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end);
/* An operation failed that may have replaced pages in this range: those that it has are forgotten. */
void gone_pages_check(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end);

#endif
