/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The parent of all stubs; notices when one dies. */
#ifndef CORE_SYSTRAP_KEEPER_H
#define CORE_SYSTRAP_KEEPER_H

#include "core/systrap/systrap_types.h"

/* Runs make(arg) in the keeper's thread when that starts, and returns what it returned. */
int keeper_start(struct systrap_platform *sp, int (*make)(void *arg), void *arg, struct open_report *report);
void keeper_stop(struct systrap_platform *sp);
/* In a process that was forked from the opener's: its copies of the descriptors. */
void keeper_close_copies(struct systrap_platform *sp);
/* After an error too the keeper has it, until it is buried. */
int keeper_watch(struct systrap_subprocess *subprocess);
/*
 * It was killed, and nobody uses it any more: reaps it. False: it has not ended
 * in WATCHDOG_TEARDOWN; then the keeper reaps it when it does, and has the
 * caller's reference.
 */
bool keeper_bury(struct systrap_subprocess *subprocess);
/* Nobody reaps it. */
void keeper_forget(struct systrap_subprocess *subprocess);

#endif
