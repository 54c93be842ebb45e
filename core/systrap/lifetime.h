/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the record of a subprocess has in it. */
#ifndef CORE_SYSTRAP_LIFETIME_H
#define CORE_SYSTRAP_LIFETIME_H

#include "core/systrap/systrap_types.h"

/* 0 or -errno, and then *call names what failed. */
int systrap_subprocess_init(struct systrap_subprocess *subprocess, const char **call);
/* All that it has made, and what came since. */
void systrap_subprocess_empty(struct tg_subprocess *subprocess);

#endif
