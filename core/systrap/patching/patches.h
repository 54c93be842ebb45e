/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched calls of a subprocess: where they come from, and what ends them. */
#ifndef CORE_SYSTRAP_PATCHING_PATCHES_H
#define CORE_SYSTRAP_PATCHING_PATCHES_H

#include "core/systrap/patching/remembered_sites.h"
#include "core/systrap/systrap_types.h"

void patches_init(struct systrap_subprocess *subprocess);
void patches_destroy(struct systrap_patches *patches);
/* All, as if there had never been any code: no guest runs, and the stub's memory has nothing of them. */
void patches_forget(struct systrap_subprocess *subprocess);
/* A child is about to be made: it is to have what is remembered by now. order_lock is held. */
void patches_before_fork(struct systrap_subprocess *mother);
/* A child that does not run has its mother's code. order_lock of the mother is held. 0 or -ENOMEM. */
int patches_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother);

/* An unpatched call: if its site makes many, it is patched. */
void patches_note_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall);
/* An operation is about to be made, with order_lock. 0, or an error: it must not be made. */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op);
/*
 * The order has a call for each of these operations: adds those that patch
 * what is remembered of the files that they map, mapped->calls.
 */
void patches_add_calls(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n,
                       struct mapped_files *mapped);
/* The first n were made; result: 0, or the host's error for the next one. */
void patches_after_ops(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, int64_t result,
                       const struct mapped_files *mapped);
/* After that, always: so many of the added calls were made, and the host's error for the next one, or 0. */
void patches_settle_calls(struct systrap_subprocess *subprocess, struct mapped_files *mapped, size_t made,
                          int64_t result);
/* Undoes all and makes no more. */
void patches_turn_off(struct systrap_subprocess *subprocess);

#endif
