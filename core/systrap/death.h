/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A subprocess dies once, for one reason. */
#ifndef CORE_SYSTRAP_DEATH_H
#define CORE_SYSTRAP_DEATH_H

#include "core/systrap/systrap_types.h"

/* Kills the process and remembers why, the first time it is called; wakes everybody who waits for it. */
void systrap_subprocess_die(struct systrap_subprocess *subprocess, int32_t reason, int32_t status);

#endif
