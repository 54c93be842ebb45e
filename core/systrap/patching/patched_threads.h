/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What patches mean for a thread that is in one: its trampoline, or the bytes that it replaced. */
#ifndef CORE_SYSTRAP_PATCHING_PATCHED_THREADS_H
#define CORE_SYSTRAP_PATCHING_PATCHED_THREADS_H

#include "core/systrap/systrap_types.h"

/* Registers of a thread in a trampoline become those of the original code. True: they were changed. */
bool patched_thread_leave_trampoline(struct systrap_subprocess *subprocess, tg_regs *regs);
/* What a thread wanted that got a signal. */
enum arch_patch_meaning patched_thread_explain(struct systrap_subprocess *subprocess, tg_regs *regs,
                                               struct arch_syscall *out);
/* May there be code around addr, or have been, that is not the guest's? A quick look. */
bool patches_were_near(const struct systrap_subprocess *subprocess, uint64_t addr);
/* How often pages were away for a moment; waits for whoever is changing some. Never 0. */
uint32_t patches_gaps(struct systrap_subprocess *subprocess);
/* How often sites were undone: behind a call through one that was, there may be other code by now. */
static inline uint32_t patches_undoings(const struct systrap_patches *patches)
{
    return atomic_load_explicit(&patches->undoings, memory_order_relaxed);
}

#endif
