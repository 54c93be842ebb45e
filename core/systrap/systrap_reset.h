/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A subprocess as if it were new, with its process: subprocess_reset.c. */
#ifndef CORE_SYSTRAP_SYSTRAP_RESET_H
#define CORE_SYSTRAP_SYSTRAP_RESET_H

#include "core/systrap/systrap_types.h"

int systrap_subprocess_reset(struct tg_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n);

#endif
