/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>

#include "core/systrap/death.h"
#include "core/systrap/patching/code_writer.h"
#include "core/systrap/patching/patch_decision.h"
#include "core/systrap/patching/trampolines.h"

/* ---- may it be changed? ---- */

bool patch_may_change(struct systrap_subprocess *subprocess, uint64_t addr)
{
    return mapping_table_rights(&subprocess->base.mappings, addr) == (TG_PROT_READ | TG_PROT_EXEC | MAPPING_MAPPED);
}

static bool may_change_all(struct systrap_subprocess *subprocess, const struct arch_patch *patch)
{
    return !site_is_in_two_pages(&subprocess->patches.sites, patch) ||
           (patch_may_change(subprocess, patch->start) && patch_may_change(subprocess, patch_last_byte(patch)));
}

/* ---- how? ---- */

/*
 * As it was the last time, or else in a new way with a trampoline of its own:
 * then *known becomes NULL.
 */
static enum patch_refusal choose_plan(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                      struct patched_site **known, struct site_plan *plan)
{
    const struct site_table *sites = &subprocess->patches.sites;
    enum patch_refusal refusal;

    if (*known) {
        refusal = site_plan_make(subprocess, syscall, site_table_number(sites, *known), plan);
        if (refusal == PATCH_OK && site_plan_is_of(plan, *known))
            return PATCH_OK;
        *known = NULL;
    }
    if (!site_table_has_number(sites, syscall->ip - 1))
        return PATCH_REFUSED_FULL;
    return site_plan_make(subprocess, syscall, sites->count, plan);
}

/* May it be patched, and how; *known: a site that is undone, or NULL. */
static enum patch_refusal examine(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                  struct patched_site **known, struct site_plan *plan)
{
    const uint64_t addr = syscall->ip - 1;
    enum patch_refusal refusal;

    if (!*known && !site_table_has_number(&subprocess->patches.sites, addr))
        return PATCH_REFUSED_FULL;
    if (!patch_may_change(subprocess, addr))
        return PATCH_REFUSED_MAPPING;
    refusal = choose_plan(subprocess, syscall, known, plan);
    if (refusal != PATCH_OK)
        return refusal;
    return may_change_all(subprocess, &plan->patch) ? PATCH_OK : PATCH_REFUSED_PAGE_EDGE;
}

/* ---- doing it ---- */

struct patched_site *patch_new_site(struct systrap_subprocess *subprocess, const struct site_plan *plan)
{
    struct site_table *sites = &subprocess->patches.sites;
    struct patched_site *site =
        trampolines_prepare(subprocess, sites->count) ? NULL : site_table_add(sites, &plan->patch);

    if (site)
        trampoline_write(subprocess, site_table_number(sites, site), plan->trampoline, plan->trampoline_length,
                         tgi_arch_patching->return_ip(&plan->patch));
    return site;
}

/* Its place is known to be good: the jump goes there. */
static enum patch_refusal put_site(struct systrap_subprocess *subprocess, struct patched_site *site,
                                   const struct site_plan *plan)
{
    struct site_table *sites = &subprocess->patches.sites;
    int err;

    if (!site_table_reserve(sites, &plan->patch))
        return PATCH_REFUSED_FULL;
    if (!site)
        site = patch_new_site(subprocess, plan);
    if (!site)
        return PATCH_REFUSED_OTHER;
    err = code_writer_put(subprocess, site_table_number(sites, site));
    if (err == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    return err ? PATCH_REFUSED_OTHER : PATCH_OK;
}

/* ---- what came of it ---- */

static void count_refusal(struct systrap_subprocess *subprocess, enum patch_refusal refusal)
{
    count_many(subprocess->base.platform, COUNTER_PATCH_REFUSALS + refusal, 1);
}

void patch_count_site(struct systrap_subprocess *subprocess, const struct arch_patch *patch)
{
    const bool after = patch->start + patch->length > tgi_arch_patching->return_ip(patch);

    count(subprocess->base.platform, after ? COUNTER_PATCH_SITES_AFTER : COUNTER_PATCH_SITES_BEFORE);
}

/* Code in its page changes so often that it must call more. */
static enum patch_outcome put_off(struct systrap_subprocess *subprocess, struct site_heat *heat, uint32_t wanted)
{
    count_refusal(subprocess, PATCH_REFUSED_CHANGES);
    if (wanted == CALLS_SETTLED)
        return PATCH_NEVER;
    heat->wanted = wanted;
    return PATCH_LATER;
}

enum patch_outcome patch_decide(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                struct site_heat *heat)
{
    const struct site_table *sites = &subprocess->patches.sites;
    struct patched_site *known = site_table_find(sites, syscall->ip - 1);
    const uint32_t wanted = heat_wanted(sites, syscall->ip - 1);
    enum patch_refusal refusal;
    struct site_plan plan;

    if (known && !known->undone)
        return PATCH_ALREADY;
    if (wanted > heat->calls)
        return put_off(subprocess, heat, wanted);
    refusal = examine(subprocess, syscall, &known, &plan);
    if (refusal == PATCH_OK)
        refusal = put_site(subprocess, known, &plan);
    if (refusal != PATCH_OK) {
        count_refusal(subprocess, refusal);
        return PATCH_NEVER;
    }
    patch_count_site(subprocess, &plan.patch);
    return PATCH_MADE;
}
