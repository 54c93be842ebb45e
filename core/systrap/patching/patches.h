/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which calls are changed into jumps, and what that means for guests. */
#ifndef CORE_SYSTRAP_PATCHING_PATCHES_H
#define CORE_SYSTRAP_PATCHING_PATCHES_H

#include "core/systrap/systrap_types.h"

void patches_init(struct systrap_subprocess *subprocess);
static inline uint32_t patches_undone(const struct systrap_patches *patches)
{
    return atomic_load_explicit(&patches->undone, memory_order_relaxed);
}

/* By the number of a trampoline, which a guest may have made up: 0, or an address behind a call. */
uint64_t patches_return_ip(const struct systrap_patches *patches, uint32_t number);
void patches_destroy(struct systrap_patches *patches);
/* An unpatched call: if its site makes many, it is changed. */
void patches_note_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall);
/* 0, or an error: the operation must not be made. */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op);
/* It was made (0), or refused with this error. */
void patches_after_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, int64_t result);
/* Undoes all and makes no more. */
void patches_turn_off(struct systrap_subprocess *subprocess);
int patches_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother);
/* The call that maps the table of pointers. */
struct stub_call patches_table_call(const struct systrap_subprocess *subprocess);
/* Registers of a thread in a trampoline become those of the original code. True: they were changed. */
bool patches_original_ip(struct systrap_subprocess *subprocess, tg_regs *regs);
/* What a thread wanted that got a signal. */
enum arch_patch_meaning patches_explain(struct systrap_subprocess *subprocess, tg_regs *regs, struct arch_syscall *out);
/* May there be code around addr, or have been, that is not the guest's? A quick look. */
bool patches_were_near(const struct systrap_subprocess *subprocess, uint64_t addr);
/* How often code has changed; waits for whoever is changing some. Never 0. */
uint32_t patches_changes(struct systrap_subprocess *subprocess);

#endif
