/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of guest memory. */
#ifndef CORE_SYSTRAP_STUB_COPY_H
#define CORE_SYSTRAP_STUB_COPY_H

#include "core/systrap/systrap_types.h"

/* Copies the bytes as they are, with the jumps of patched calls. How many, or -errno. The caller is inside the door. */
ssize_t stub_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts);

#endif
