/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The record of a subprocess, which stays as long as somebody refers to it. */
#ifndef CORE_SYSTRAP_LIFETIME_H
#define CORE_SYSTRAP_LIFETIME_H

#include "core/systrap/systrap_types.h"

/* 0 or -errno, and then *call names what failed. */
int systrap_subprocess_init(struct systrap_subprocess *subprocess, const char **call);
/* All that it has made, and what came since. */
void systrap_subprocess_undo_init(struct systrap_subprocess *subprocess);
/* One reference less; the last one frees it. */
void systrap_subprocess_release(struct systrap_subprocess *subprocess);

#endif
