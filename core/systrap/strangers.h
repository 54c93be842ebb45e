/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CORE_SYSTRAP_STRANGERS_H
#define CORE_SYSTRAP_STRANGERS_H

#include "core/systrap/systrap_backend.h"

/*
 * A process of the stubs' group that no subprocess of the platform is, 0: none.
 * birth_lock is held for writing, so that none is about to be known.
 */
pid_t find_stranger(struct tg_platform *platform);

#endif
