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

/* The bytes around a call, as somebody has read them. */
struct site_code {
    const uint8_t *bytes;
    uint64_t addr;
    size_t length;
};

/* With the trampoline of this number, in this code. PATCH_OK: it is there. */
enum patch_refusal site_plan_of_code(const struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                     const struct site_code *code, uint32_t number, struct site_plan *plan);
/* The same in the code that is there at this moment; order_lock is held. */
enum patch_refusal site_plan_make(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                  uint32_t number, struct site_plan *plan);
/* Would it do what this site's patch did? Then the trampoline that is there will do. */
bool site_plan_is_of(const struct site_plan *plan, const struct patched_site *site);

#endif
