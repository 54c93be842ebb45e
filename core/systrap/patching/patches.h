/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched calls of a subprocess: where they come from, and what ends them. */
#ifndef CORE_SYSTRAP_PATCHING_PATCHES_H
#define CORE_SYSTRAP_PATCHING_PATCHES_H

#include "core/systrap/systrap_types.h"

void patches_init(struct systrap_subprocess *subprocess);
void patches_destroy(struct systrap_patches *patches);
/* A child that does not run has its mother's code. order_lock of the mother is held. 0 or -ENOMEM. */
int patches_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother);

/* An unpatched call: if its site makes many, it is patched. */
void patches_note_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall);
/* An operation is about to be made, with order_lock. 0, or an error: it must not be made. */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op);
/* It was made (0), or refused with this error. */
void patches_after_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, int64_t result);
/* Undoes all and makes no more. */
void patches_turn_off(struct systrap_subprocess *subprocess);

#endif
