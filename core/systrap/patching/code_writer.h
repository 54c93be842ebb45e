/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Puts patches into guest code, and the original bytes back. order_lock and the patches' lock are held. */
#ifndef CORE_SYSTRAP_PATCHING_CODE_WRITER_H
#define CORE_SYSTRAP_PATCHING_CODE_WRITER_H

#include "core/systrap/systrap_types.h"

/* The patch of this site, for which site_table_reserve() has made room. 0 or -errno; -EIO: the stub is in no known
 * state. */
int code_writer_put(struct systrap_subprocess *subprocess, uint32_t site);
/*
 * The original bytes of all sites that have some in this range. 0 or -errno, and
 * then some pages may be as they were; -EIO: the stub is in no known state.
 */
int code_writer_undo(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end);

#endif
