/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/patching/patched_threads.h"
#include "core/systrap/patching/trampolines.h"

bool patched_thread_leave_trampoline(struct systrap_subprocess *subprocess, tg_regs *regs)
{
    struct systrap_patches *patches = &subprocess->patches;
    uint32_t number;
    uint64_t offset;
    bool found;

    if (!trampoline_holds(subprocess, tgi_arch.ip(regs), &number, &offset))
        return false;
    pthread_mutex_lock(&patches->lock);
    found = number < patches->sites.count;
    if (found)
        tgi_arch_patching->set_ip(regs, tgi_arch_patching->original_ip(&patches->sites.sites[number].patch, offset));
    pthread_mutex_unlock(&patches->lock);
    return found;
}

enum arch_patch_meaning patched_thread_explain(struct systrap_subprocess *subprocess, tg_regs *regs,
                                               struct arch_syscall *out)
{
    struct systrap_patches *patches = &subprocess->patches;
    enum arch_patch_meaning meaning = ARCH_PATCH_NOT_OURS;
    const struct patched_site *site;

    if (!patches_were_near(subprocess, tgi_arch.ip(regs)))
        return ARCH_PATCH_NOT_OURS;
    /* Whoever changes code, or its mapping, holds these until it is done. */
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&patches->lock);
    site = site_table_find(&patches->sites, tgi_arch.ip(regs));
    /* Where its own bytes have gone, the thread may have been in them. */
    if (site)
        meaning = site->undone ? ARCH_PATCH_TRY_AGAIN : tgi_arch_patching->explain(&site->patch, regs, out);
    pthread_mutex_unlock(&patches->lock);
    pthread_mutex_unlock(&subprocess->order_lock);
    return meaning;
}

bool patches_were_near(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    const struct patched_pages *pages = &subprocess->patches.sites.pages;

    return patched_pages_maybe(pages, addr - pages->page_size, 2 * (size_t)pages->page_size);
}

uint32_t patches_gaps(struct systrap_subprocess *subprocess)
{
    struct systrap_patches *patches = &subprocess->patches;
    uint32_t gaps;

    pthread_mutex_lock(&patches->lock);
    gaps = patches->gaps + 1;
    pthread_mutex_unlock(&patches->lock);
    return gaps ? gaps : 1;
}
