/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the record of a subprocess has in it. */
#ifndef CORE_SYSTRAP_LIFETIME_H
#define CORE_SYSTRAP_LIFETIME_H

#include "core/systrap/systrap_types.h"

/* Fills the record of a new subprocess. 0 or -errno, and then *call names the host's call that failed. */
int systrap_subprocess_init(struct systrap_subprocess *subprocess, const char **call);
/* Frees all that systrap_subprocess_init() has made, and what the record got since. */
void systrap_subprocess_empty(struct tg_subprocess *subprocess);

#endif
