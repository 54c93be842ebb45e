/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The parent of all stubs; notices when one dies. */
#ifndef CORE_SYSTRAP_KEEPER_H
#define CORE_SYSTRAP_KEEPER_H

#include "core/systrap/systrap_types.h"

/* Starts the keeper, whose thread first calls make(arg) to make the template. 0, or an error with the report filled. */
int keeper_start(struct systrap_platform *sp, int (*make)(void *arg), void *arg, struct open_report *report);
void keeper_stop(struct systrap_platform *sp);
/* In a process that was forked from the opener's: its copies of the descriptors. */
void keeper_close_copies(struct systrap_platform *sp);
/* Gives a new stub process to the keeper. Also after an error, it is the keeper's until it is buried. 0 or -errno. */
int keeper_watch(struct systrap_subprocess *subprocess);
/* Whoever destroys the subprocess waits for the end of its process, and need not wake the keeper with that too. */
void keeper_look_away(struct systrap_subprocess *subprocess);
/*
 * Reaps what has ended in the platform's process group and is no subprocess's: children that a guest has made the
 * library lose the numbers of. All subprocesses but the template are gone, and that is the group's leader.
 */
void keeper_reap_strangers(struct systrap_platform *sp);
/*
 * Reaps a stub process that was killed and that nobody uses any more. False: it
 * has not ended within WATCHDOG_TEARDOWN; then the keeper reaps it when it does,
 * and has the caller's reference.
 */
bool keeper_bury(struct systrap_subprocess *subprocess);
/* The keeper knows it no more, and nobody reaps it. */
void keeper_forget(struct systrap_subprocess *subprocess);

#endif
