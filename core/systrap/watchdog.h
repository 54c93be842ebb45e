/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Stubs that do not do what they are asked to, because a guest has spoilt the memory it shares with the library. */
#ifndef CORE_SYSTRAP_WATCHDOG_H
#define CORE_SYSTRAP_WATCHDOG_H

#include "core/clock.h"
#include "core/systrap/systrap_backend.h"

/* A waiter looks this often after what it waits for. */
#define WATCHDOG_ROUND_NS NS_PER_SECOND

/*
 * The context is in flight. True: it has been stuck for so long, in a stub that
 * is neither stopped nor frozen, that the stub cannot be trusted any more.
 */
bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns);

#endif
