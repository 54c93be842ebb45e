/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/systrap/child.h"
#include "core/systrap/death.h"
#include "core/systrap/patching/code_writer.h"
#include "core/systrap/patching/gone_pages.h"
#include "core/systrap/patching/patch_decision.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/patching/remembered_sites.h"
#include "core/systrap/patching/trampolines.h"
#include "core/systrap/shared_words.h"

/* ---- life ---- */

/* Until a guest does what forbids it. */
static void allow(struct systrap_subprocess *subprocess)
{
    const bool patching = systrap_platform(subprocess->base.platform)->config.patching != 0;

    atomic_store(&subprocess->patches.off, !patching);
    control_of(subprocess)->hide = patching;
}

void patches_init(struct systrap_subprocess *subprocess)
{
    pthread_mutex_init(&subprocess->patches.lock, NULL);
    site_table_init(&subprocess->patches.sites, subprocess->base.platform->info.page_size, trampolines_max());
    allow(subprocess);
}

void patches_destroy(struct systrap_patches *patches)
{
    pthread_mutex_destroy(&patches->lock);
    site_table_destroy(&patches->sites);
    trampolines_forget(patches);
}

void patches_forget(struct systrap_subprocess *subprocess)
{
    struct systrap_patches *patches = &subprocess->patches;

    pthread_mutex_lock(&patches->lock);
    site_table_empty(&patches->sites);
    trampolines_forget(patches);
    atomic_store(&patches->return_ips, NULL);
    /* Contexts that ran before compare these. */
    atomic_fetch_add(&patches->undoings, 1);
    patches->gaps++;
    memset(&patches->heat, 0, sizeof(patches->heat));
    memset(&subprocess->code_files, 0, sizeof(subprocess->code_files));
    allow(subprocess);
    pthread_mutex_unlock(&patches->lock);
}

void patches_before_fork(struct systrap_subprocess *mother)
{
    struct systrap_patches *patches = &mother->patches;

    if (atomic_load(&patches->off))
        return;
    pthread_mutex_lock(&patches->lock);
    remembered_sites_renew(mother);
    pthread_mutex_unlock(&patches->lock);
}

int patches_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    struct systrap_patches *from = &mother->patches;
    const bool off = atomic_load(&from->off);
    int err;

    SHARED_STORE(control_of(child)->hide, !off);
    atomic_store(&child->patches.off, off);
    child->code_files = mother->code_files;
    if (!from->sites.count && !from->table_mapped)
        return 0;
    pthread_mutex_lock(&from->lock);
    err = site_table_inherit(&child->patches.sites, &from->sites);
    if (!err)
        err = trampolines_inherit(child, mother);
    pthread_mutex_unlock(&from->lock);
    return err;
}

/* ---- calls ---- */

/* Whose call was worth a look: the subprocess's own, for the site is hot, and others', who have the same file. */
struct site_interest {
    bool own;
    bool others;
};

static void look(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                 struct site_interest interest)
{
    struct site_heat *heat = heat_of(&subprocess->patches.heat, syscall->ip);

    if (interest.others)
        remembered_sites_learn(subprocess, syscall);
    if (interest.own && heat_is_hot(heat, syscall->ip) && patch_decide(subprocess, syscall, heat) != PATCH_LATER)
        heat->calls = CALLS_SETTLED;
}

/*
 * Whoever has fetched the call's event has no need of a patch: that thread
 * waits neither for those who hold the locks nor for a stub that is stopped.
 * The site stays hot, and its next call is looked at instead.
 */
static void look_at_site(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                         struct site_interest interest)
{
    struct systrap_patches *patches = &subprocess->patches;

    if (pthread_mutex_trylock(&subprocess->order_lock))
        return;
    if (!pthread_mutex_trylock(&patches->lock)) {
        if (!atomic_load(&patches->off) && !child_is_stopped(subprocess))
            look(subprocess, syscall, interest);
        pthread_mutex_unlock(&patches->lock);
    }
    pthread_mutex_unlock(&subprocess->order_lock);
}

/* The first calls from a site count for others too, the patches' lock is held. */
static struct site_interest count_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall)
{
    struct heat_map *map = &subprocess->patches.heat;
    const bool own = heat_count(map, syscall->ip);

    return (struct site_interest){
        .own = own,
        .others = heat_of(map, syscall->ip)->calls <= CALLS_REMEMBERED && remembered_sites_count(subprocess, syscall),
    };
}

void patches_note_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct site_interest interest;

    if (atomic_load(&patches->off) || syscall->flags)
        return;
    /* Somebody changes code, which a stub that is stopped does not end: this call is not counted. */
    if (pthread_mutex_trylock(&patches->lock))
        return;
    interest = count_call(subprocess, syscall);
    pthread_mutex_unlock(&patches->lock);
    if (interest.own || interest.others)
        look_at_site(subprocess, syscall, interest);
}

/* ---- memory operations ---- */

static uint64_t end_of(const struct systrap_subprocess *subprocess, const struct tg_mem_op *op)
{
    const uint64_t page = subprocess->base.platform->info.page_size;

    return (op->addr + op->length + page - 1) & ~(page - 1);
}

static int undo(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    int err = code_writer_undo(subprocess, start, end);

    if (err == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    return err;
}

/* A site that is only in part in the range of an operation that takes pages away. */
static int undo_at_edge(struct systrap_subprocess *subprocess, uint64_t edge)
{
    return site_table_crossing_from(&subprocess->patches.sites, edge - 1) != NO_SITE
               ? undo(subprocess, edge - 1, edge + 1)
               : 0;
}

/* It gives the right that is there already. */
static bool changes_nothing(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, uint64_t end)
{
    const uint32_t page = subprocess->base.platform->info.page_size;

    return op->kind == TG_MEM_PROTECT && end - op->addr == page && op->prot == (TG_PROT_READ | TG_PROT_EXEC) &&
           patch_may_change(subprocess, op->addr);
}

/* Whether it takes pages away in one go, with their sites, and where: of one that moves, what it replaces. */
static bool takes_pages_away(const struct systrap_subprocess *subprocess, const struct tg_mem_op *op,
                             struct tg_range *range)
{
    const uint64_t length = end_of(subprocess, op) - op->addr;

    range->start = op->kind == TG_MEM_MOVE ? op->offset : op->addr;
    range->end = range->start + length;
    return op->kind == TG_MEM_MAP || op->kind == TG_MEM_UNMAP || op->kind == TG_MEM_MOVE;
}

static int undo_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, uint64_t end)
{
    struct tg_range away;
    int err = 0;

    if (!takes_pages_away(subprocess, op, &away))
        return changes_nothing(subprocess, op, end) ? 0 : undo(subprocess, op->addr, end);
    /* Trampolines go back to where a site is: it does not move. */
    if (op->kind == TG_MEM_MOVE)
        err = undo(subprocess, op->addr, end);
    if (!err)
        err = undo_at_edge(subprocess, away.start);
    return err ? err : undo_at_edge(subprocess, away.end);
}

static void cool(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    heat_cool(&subprocess->patches.heat, start, end, tgi_arch_patching->code_before, tgi_arch_patching->code_after);
}

/*
 * The pages of a site get the original bytes back before an operation on them.
 * It may fail, or leave the bytes there for others to read or to write, or take
 * the right to read away. If the host refuses that, for lack of memory, the
 * operation must not be made: it would show the guest bytes that are not its
 * own. One that takes whole pages away takes their sites along, or leaves all
 * as it is. Calls there are counted anew, also where they were left alone: that
 * may have been because of what changes now.
 */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op)
{
    struct systrap_patches *patches = &subprocess->patches;
    const uint64_t end = end_of(subprocess, op);
    int err;

    if (!patches->sites.count && atomic_load(&patches->off))
        return 0;
    pthread_mutex_lock(&patches->lock);
    err = undo_before_op(subprocess, op, end);
    cool(subprocess, op->addr, end);
    if (op->kind == TG_MEM_MOVE)
        cool(subprocess, op->offset, op->offset + (end - op->addr));
    pthread_mutex_unlock(&patches->lock);
    return err;
}

/* Who adds calls keeps the patches' lock until these are settled: until then nobody may look at what they change. */
void patches_add_calls(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n,
                       struct mapped_files *mapped)
{
    struct systrap_patches *patches = &subprocess->patches;

    mapped->count = 0;
    mapped->calls = 0;
    if (atomic_load(&patches->off))
        return;
    pthread_mutex_lock(&patches->lock);
    remembered_sites_add_calls(subprocess, ops, n, mapped);
    if (!mapped->calls)
        pthread_mutex_unlock(&patches->lock);
}

static void after_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op,
                     const struct mapped_files *mapped, int64_t result)
{
    struct tg_range away;

    if (!atomic_load(&subprocess->patches.off))
        remembered_sites_note_op(subprocess, op, mapped, result);
    if (!subprocess->patches.sites.count || !takes_pages_away(subprocess, op, &away))
        return;
    if (result == 0)
        gone_pages_forget(subprocess, away.start, away.end);
    else
        gone_pages_check(subprocess, away.start, away.end);
}

void patches_after_ops(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, int64_t result,
                       const struct mapped_files *mapped)
{
    struct systrap_patches *patches = &subprocess->patches;

    if (!patches->sites.count && atomic_load(&patches->off))
        return;
    if (!mapped->calls)
        pthread_mutex_lock(&patches->lock);
    for (size_t i = 0; i < n; i++)
        after_op(subprocess, &ops[i], mapped, 0);
    if (result)
        after_op(subprocess, &ops[n], mapped, result);
    if (!mapped->calls)
        pthread_mutex_unlock(&patches->lock);
}

void patches_settle_calls(struct systrap_subprocess *subprocess, struct mapped_files *mapped, size_t made,
                          int64_t result)
{
    if (!mapped->calls)
        return;
    site_batch_made(&mapped->batch, made, result);
    pthread_mutex_unlock(&subprocess->patches.lock);
}

/* ---- the end ---- */

/* What cannot be put back is still right: where nothing is hidden in the segment base, the call traps and is made. */
void patches_turn_off(struct systrap_subprocess *subprocess)
{
    struct systrap_patches *patches = &subprocess->patches;

    SHARED_STORE(control_of(subprocess)->hide, 0);
    if (atomic_exchange(&patches->off, true))
        return;
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&patches->lock);
    undo(subprocess, 0, UINT64_MAX);
    pthread_mutex_unlock(&patches->lock);
    pthread_mutex_unlock(&subprocess->order_lock);
}
