/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a site could be patched, by the code that is there at this moment. */
#ifndef CORE_SYSTRAP_PATCHING_SITE_PLAN_H
#define CORE_SYSTRAP_PATCHING_SITE_PLAN_H

#include "arch/patch_refusal.h"
#include "core/systrap/systrap_types.h"

struct site_plan {
    struct arch_patch patch;
    uint8_t trampoline[SYSTRAP_TRAMPOLINE];
    size_t trampoline_length;
};

/* With the trampoline of this number; order_lock is held. PATCH_OK: it is there. */
enum patch_refusal site_plan_make(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                  uint32_t number, struct site_plan *plan);
/* Would it do what this site's patch did? Then the trampoline that is there will do. */
bool site_plan_is_of(const struct site_plan *plan, const struct patched_site *site);

#endif
