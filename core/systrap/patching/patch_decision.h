/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which sites are patched: those that are worth it, may be, and can be. */
#ifndef CORE_SYSTRAP_PATCHING_PATCH_DECISION_H
#define CORE_SYSTRAP_PATCHING_PATCH_DECISION_H

#include "core/systrap/patching/site_plan.h"
#include "core/systrap/systrap_types.h"

/* What came of a look at a hot site. */
enum patch_outcome {
    PATCH_MADE,    /* it is live from now on */
    PATCH_ALREADY, /* it was live */
    PATCH_LATER,   /* when it has called more often */
    PATCH_NEVER,   /* unless an operation changes something near it: heat_cool() */
};

/*
 * Looks at the site that this call came from, with its heat, and patches it if
 * that is right. PATCH_LATER: heat->wanted says when to look again. Counts what
 * came of it. order_lock and the patches' lock are held.
 */
enum patch_outcome patch_decide(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                struct site_heat *heat);

/* Code that a guest may write, or that others map too, is left alone. */
bool patch_may_change(struct systrap_subprocess *subprocess, uint64_t addr);

/* A site that is undone still, with its trampoline. NULL: there is no memory, or the stub is dead. */
struct patched_site *patch_new_site(struct systrap_subprocess *subprocess, const struct site_plan *plan);
/* It is live. */
void patch_count_site(struct systrap_subprocess *subprocess, const struct arch_patch *patch);

#endif
