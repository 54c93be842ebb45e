/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CORE_SYSTRAP_STRANGERS_H
#define CORE_SYSTRAP_STRANGERS_H

#include "core/systrap/systrap_backend.h"

/*
 * Kills whatever is in the stubs' process group and is no subprocess of the
 * platform: its mother died before she could tell of it. What cannot be done
 * soon is left to the next death of a mother, or to closing, which kills the
 * whole group. birth_lock is not held.
 */
void kill_strangers(struct tg_platform *platform);

#endif
