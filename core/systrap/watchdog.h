/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Stubs that do not do what they are asked to, because a guest has spoilt the memory it shares with the library. */
#ifndef CORE_SYSTRAP_WATCHDOG_H
#define CORE_SYSTRAP_WATCHDOG_H

#include "core/clock.h"
#include "core/systrap/systrap_backend.h"

/* A waiter looks this often after what it waits for. */
#define WATCHDOG_ROUND_NS NS_PER_SECOND

/* Before the first look. */
#define WATCHDOG_NO_TICKS UINT64_MAX

/*
 * Since the last look, whose ticks these are, workers wanted to run and none of
 * them was given a processor for as much as one: the machine's fault, not
 * theirs, that they have done nothing.
 */
bool watchdog_is_starved(const struct systrap_subprocess *subprocess, uint64_t *ticks);

/*
 * The context is in flight. True: it has been stuck for so long, in a stub that
 * is neither stopped nor frozen nor starved, that the stub cannot be trusted
 * any more; or for minutes it has been stuck, or has not answered an interrupt,
 * in one that is neither stopped nor frozen.
 */
bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns);

#endif
