/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Patched system calls: which sites are worth it, their trampolines, undoing
 * them before code changes, and making sense of threads that trap in changed
 * bytes. Trampolines are never used for anything else, for a thread may be in
 * one at any time: a site that is undone and comes back as it was has its own
 * again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/systrap/child.h"
#include "core/systrap/death.h"
#include "core/systrap/orders.h"
#include "core/systrap/patching/patch_code.h"
#include "core/systrap/patching/patched_pages.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/shared_words.h"

#define HOT           4    /* calls from one site before it is changed */
#define CHANGES_FREE  512  /* as often a page's sites are undone before its calls have to be more for each time */
#define CHANGES_MORE  20   /* twice as many, this often */
#define SITES_OF_PAGE 1024 /* ever, of all that start in one page: as many as anything goes through for an event */
#define REFUSED       UINT32_MAX
#define WINDOW_MAX    64
#define SITES_FIRST   64

/* ---- records ---- */

void patches_init(struct systrap_subprocess *subprocess)
{
    uint64_t patching = systrap_platform(subprocess->base.platform)->config.patching;

    pthread_mutex_init(&subprocess->patches.lock, NULL);
    patched_pages_init(&subprocess->patches.pages);
    atomic_store(&subprocess->patches.off, !patching);
    control_of(subprocess)->hide = patching != 0;
}

void patches_destroy(struct systrap_patches *patches)
{
    pthread_mutex_destroy(&patches->lock);
    patched_pages_destroy(&patches->pages);
    free(patches->sites);
    free(patches->return_ips);
}

static uint32_t sites_max(void)
{
    uint64_t by_table = tgi_arch_patching->table_size / sizeof(uint64_t);
    uint64_t by_memory = (SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES) / SYSTRAP_TRAMPOLINE;

    return (uint32_t)(by_table < by_memory ? by_table : by_memory);
}

static uint64_t table_entry(uint32_t index)
{
    return tgi_arch_patching->table_start + index * sizeof(uint64_t);
}

static uint64_t trampoline_addr(const struct systrap_subprocess *subprocess, uint32_t index)
{
    return systrap_platform(subprocess->base.platform)->region + SYSTRAP_TRAMPOLINES +
           (uint64_t)index * SYSTRAP_TRAMPOLINE;
}

static struct patched_site *add_record(struct systrap_patches *patches)
{
    if (patches->count == patches->capacity) {
        uint32_t capacity = patches->capacity ? 2 * patches->capacity : SITES_FIRST;
        struct patched_site *sites = realloc(patches->sites, capacity * sizeof(*sites));

        if (!sites)
            return NULL;
        patches->sites = sites;
        patches->capacity = capacity;
    }
    return &patches->sites[patches->count];
}

/* Events are made from these without a lock, so they never move. */
static bool make_room_for_ips(struct systrap_patches *patches)
{
    if (!atomic_load(&patches->return_ips))
        atomic_store(&patches->return_ips, calloc(sites_max(), sizeof(patches->return_ips[0])));
    return atomic_load(&patches->return_ips) != NULL;
}

uint64_t patches_return_ip(const struct systrap_patches *patches, uint32_t number)
{
    const _Atomic uint64_t *ips = atomic_load_explicit(&patches->return_ips, memory_order_acquire);

    return ips && number < sites_max() ? atomic_load_explicit(&ips[number], memory_order_relaxed) : 0;
}

static struct patched_page *page_of(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    return patched_page_find(&subprocess->patches.pages, patch_page_of(subprocess, addr));
}

/* Of the sites that start in this page: the one whose bytes hold addr, or the newest one that was there. */
static struct patched_site *find_in_page(struct systrap_patches *patches, const struct patched_page *page,
                                         uint64_t addr)
{
    struct patched_site *newest = NULL;

    for (uint32_t i = page ? page->newest : NO_SITE; i != NO_SITE; i = patches->sites[i].older) {
        struct patched_site *site = &patches->sites[i];

        if (addr - site->patch.start >= site->patch.length)
            continue;
        if (!site->undone)
            return site;
        if (!newest)
            newest = site;
    }
    return newest;
}

static struct patched_site *find_site(struct systrap_subprocess *subprocess, uint64_t addr)
{
    struct systrap_patches *patches = &subprocess->patches;
    const uint64_t page = patch_page_of(subprocess, addr);
    struct patched_site *site = find_in_page(patches, page_of(subprocess, addr), addr);

    if ((site && !site->undone) || addr - page >= ARCH_PATCH_BYTES)
        return site;
    /* Or one from the page before. */
    return find_in_page(patches, page_of(subprocess, page - 1), addr) ?: site;
}

/* ---- the table ---- */

/* order_lock is held. The table of pointers at the bottom of the address space. */
static int map_table(struct systrap_subprocess *subprocess)
{
    struct answer answer;
    int err;

    if (subprocess->patches.table_mapped)
        return 0;
    orders_of(subprocess)->calls[0] = patches_table_call(subprocess);
    err = orders_give(subprocess, 1, &answer);
    if (err)
        return err;
    if (answer.left)
        return (int)answer.result;
    subprocess->patches.table_mapped = true;
    return 0;
}

struct stub_call patches_table_call(const struct systrap_subprocess *subprocess)
{
    return (struct stub_call){
        .nr = tgi_arch.syscalls.mmap,
        .args = {tgi_arch_patching->table_start, tgi_arch_patching->table_size, PROT_READ, MAP_SHARED | MAP_FIXED,
                 (uint64_t)subprocess->file, SYSTRAP_TABLE},
    };
}

/* ---- patching ---- */

/* Code that a guest may write, or that others map too, is left alone. */
static bool may_change(struct systrap_subprocess *subprocess, uint64_t addr)
{
    return mapping_table_rights(&subprocess->base.mappings, addr) == (TG_PROT_READ | TG_PROT_EXEC | MAPPING_MAPPED);
}

/*
 * The bytes around a call, as they are at this moment: a neighbour's jump is
 * none that could be displaced. Where the page before its own holds no code,
 * nothing can come from there: bytes that trap stand for it.
 */
static size_t read_code(struct systrap_subprocess *subprocess, uint64_t ip, uint8_t *code, uint64_t *start)
{
    const size_t length = tgi_arch_patching->code_before + tgi_arch_patching->code_after;
    uint64_t page_start = (ip - 1) & ~(uint64_t)(subprocess->base.platform->info.page_size - 1);
    size_t skipped;
    ssize_t done;

    *start = ip - tgi_arch_patching->code_before;
    done = patch_code_read_now(subprocess, *start, code, length);
    if (done > 0 || *start >= page_start)
        return done > 0 ? (size_t)done : 0;
    skipped = (size_t)(page_start - *start);
    done = patch_code_read_now(subprocess, page_start, code + skipped, length - skipped);
    if (done > 0 && !mapping_table_executable(&subprocess->base.mappings, *start)) {
        memset(code, tgi_arch_patching->trap_byte, skipped);
        return skipped + (size_t)done;
    }
    memmove(code, code + skipped, done > 0 ? (size_t)done : 0);
    *start = page_start;
    return done > 0 ? (size_t)done : 0;
}

struct plan {
    struct arch_patch patch;
    uint8_t trampoline[SYSTRAP_TRAMPOLINE];
    size_t trampoline_length;
};

/* With the trampoline of this number. 0, or why not plus one. */
static uint32_t plan_site(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall, uint32_t index,
                          struct plan *plan)
{
    uint8_t code[WINDOW_MAX] = {0};
    struct arch_patch_request request = {
        .ip = syscall->ip,
        .nr = syscall->nr,
        .code = code,
        .table_entry = table_entry(index),
        .trampoline = trampoline_addr(subprocess, index),
        .region = systrap_platform(subprocess->base.platform)->region,
    };

    request.code_length = read_code(subprocess, syscall->ip, code, &request.code_addr);
    return tgi_arch_patching->plan(&request, &plan->patch, plan->trampoline, &plan->trampoline_length);
}

static void write_trampoline(struct systrap_subprocess *subprocess, uint32_t index, const struct plan *plan)
{
    memcpy(subprocess->memory + SYSTRAP_TRAMPOLINES + (size_t)index * SYSTRAP_TRAMPOLINE, plan->trampoline,
           plan->trampoline_length);
    SHARED_STORE(((uint64_t *)(subprocess->memory + SYSTRAP_TABLE))[index], trampoline_addr(subprocess, index));
}

static uint32_t refuse(struct systrap_subprocess *subprocess, uint32_t reason)
{
    count_many(subprocess->base.platform, COUNTER_PATCH_REFUSALS + reason, 1);
    return REFUSED;
}

static void count_site(struct systrap_subprocess *subprocess, const struct patched_site *site,
                       const struct arch_syscall *syscall)
{
    bool after = site->patch.start + site->patch.length > syscall->ip;

    count(subprocess->base.platform, after ? COUNTER_PATCH_SITES_AFTER : COUNTER_PATCH_SITES_BEFORE);
}

/* ---- code that changes again and again ---- */

/* How often sites in the page were undone. */
static uint32_t changes_of(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    const struct patched_page *page = page_of(subprocess, addr);

    return page ? page->changes : 0;
}

/*
 * A site costs a trampoline for good, and what changing code takes. Code that
 * does not rest is worth both only if it calls more each time, and must leave
 * half of the trampolines to other code.
 */
static uint32_t calls_wanted(const struct systrap_patches *patches, uint32_t changes)
{
    uint32_t more = changes < CHANGES_FREE ? 0 : changes - CHANGES_FREE + 1;

    if (changes && patches->dead >= sites_max() / 2)
        return REFUSED;
    return HOT << (more < CHANGES_MORE ? more : CHANGES_MORE);
}

/* ---- a site ---- */

/* A record for a new site with this plan, and its trampoline. NULL: there is no memory. */
static struct patched_site *new_site(struct systrap_subprocess *subprocess, const struct plan *plan)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct patched_site *site = make_room_for_ips(patches) ? add_record(patches) : NULL;
    struct patched_page *page = page_of(subprocess, plan->patch.start);

    if (!site || map_table(subprocess))
        return NULL;
    *site = (struct patched_site){.patch = plan->patch, .undone = true, .older = page->newest};
    page->newest = patches->count;
    page->site_count++;
    write_trampoline(subprocess, patches->count, plan);
    atomic_store(&patches->return_ips[patches->count], tgi_arch_patching->return_ip(&site->patch));
    patches->count++;
    patches->dead++;
    return site;
}

static bool same_patch(const struct arch_patch *one, const struct arch_patch *other)
{
    return one->start == other->start && one->length == other->length && one->pattern == other->pattern &&
           memcmp(one->own, other->own, sizeof(one->own)) == 0 &&
           memcmp(one->original, other->original, sizeof(one->original)) == 0 &&
           memcmp(one->replacement, other->replacement, sizeof(one->replacement)) == 0;
}

static bool has_no_place(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    const struct patched_page *page = page_of(subprocess, addr);

    return subprocess->patches.count == sites_max() || (page && page->site_count >= SITES_OF_PAGE);
}

/*
 * How this call could be changed: as it was the last time, or else in a new way
 * with a trampoline of its own. 0, or why not plus one; *known becomes NULL if
 * it is new.
 */
static uint32_t choose_plan(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                            struct patched_site **known, struct plan *plan)
{
    struct systrap_patches *patches = &subprocess->patches;
    uint32_t refusal;

    if (*known) {
        refusal = plan_site(subprocess, syscall, (uint32_t)(*known - patches->sites), plan);
        if (!refusal && same_patch(&plan->patch, &(*known)->patch))
            return 0;
        *known = NULL;
    }
    if (has_no_place(subprocess, syscall->ip - 1))
        return TG_PATCH_REFUSED_FULL + 1;
    return plan_site(subprocess, syscall, patches->count, plan);
}

static bool may_change_all(struct systrap_subprocess *subprocess, const struct arch_patch *patch)
{
    return !patch_in_two_pages(subprocess, patch) ||
           (may_change(subprocess, patch->start) && may_change(subprocess, patch_last_byte(patch)));
}

/* Its place is known to be good: the jump goes there. */
static uint32_t put_site(struct systrap_subprocess *subprocess, struct patched_site *known, const struct plan *plan,
                         const struct arch_syscall *syscall)
{
    struct patched_site *site;
    int err;

    if (!patch_code_room(subprocess, &plan->patch))
        return refuse(subprocess, TG_PATCH_REFUSED_FULL);
    site = known ? known : new_site(subprocess, plan);
    if (!site)
        return refuse(subprocess, TG_PATCH_REFUSED_OTHER);
    err = patch_code_put(subprocess, (uint32_t)(site - subprocess->patches.sites));
    if (err == 0) {
        count_site(subprocess, site, syscall);
        return REFUSED;
    }
    if (err == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    return refuse(subprocess, TG_PATCH_REFUSED_OTHER);
}

/* order_lock and the patches' lock are held. calls: so many were counted. How many it takes; REFUSED: not this one. */
static uint32_t patch_site(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall, uint32_t calls)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct patched_site *known = find_site(subprocess, syscall->ip - 1);
    const uint32_t wanted = calls_wanted(patches, changes_of(subprocess, syscall->ip - 1));
    struct plan plan;
    uint32_t refusal;

    if (known && !known->undone)
        return REFUSED;
    if (wanted > calls) {
        refuse(subprocess, TG_PATCH_REFUSED_CHANGES);
        return wanted;
    }
    if (!known && has_no_place(subprocess, syscall->ip - 1))
        return refuse(subprocess, TG_PATCH_REFUSED_FULL);
    if (!may_change(subprocess, syscall->ip - 1))
        return refuse(subprocess, TG_PATCH_REFUSED_MAPPING);
    refusal = choose_plan(subprocess, syscall, &known, &plan);
    if (refusal)
        return refuse(subprocess, refusal - 1);
    if (!may_change_all(subprocess, &plan.patch))
        return refuse(subprocess, TG_PATCH_REFUSED_PAGE_EDGE);
    return put_site(subprocess, known, &plan, syscall);
}

static void start_counting(struct systrap_patches *patches, struct systrap_heat *heat, uint64_t ip)
{
    *heat = (struct systrap_heat){.ip = ip, .wanted = HOT};
    if (!patches->last_heat || ip < patches->first_heat)
        patches->first_heat = ip;
    if (ip > patches->last_heat)
        patches->last_heat = ip;
}

static struct systrap_heat *heat_of(struct systrap_patches *patches, uint64_t ip)
{
    return &patches->heat[(ip ^ ip >> 12) % PATCH_HEATS];
}

/* The patches' lock is held. Others may have the site's place in the map by now. */
static bool is_hot(const struct systrap_heat *heat, uint64_t ip)
{
    return heat->ip == ip && heat->calls != REFUSED && heat->calls >= heat->wanted;
}

/*
 * It may have to call more. Whoever has fetched the call's event has no need of
 * a patch: he waits neither for those who hold the locks nor for a stub that is
 * stopped. The site stays hot, and its next call is looked at instead.
 */
static void look_at_site(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct systrap_heat *heat = heat_of(patches, syscall->ip);
    uint32_t wanted;

    if (pthread_mutex_trylock(&subprocess->order_lock))
        return;
    if (!pthread_mutex_trylock(&patches->lock)) {
        if (!atomic_load(&patches->off) && is_hot(heat, syscall->ip) && !child_is_stopped(subprocess)) {
            wanted = patch_site(subprocess, syscall, heat->calls);
            if (wanted == REFUSED)
                heat->calls = REFUSED;
            else
                heat->wanted = wanted;
        }
        pthread_mutex_unlock(&patches->lock);
    }
    pthread_mutex_unlock(&subprocess->order_lock);
}

void patches_note_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct systrap_heat *heat = heat_of(patches, syscall->ip);
    bool hot;

    if (atomic_load(&patches->off) || syscall->flags)
        return;
    /* Somebody changes code, which a stub that is stopped does not end: this call is not counted. */
    if (pthread_mutex_trylock(&patches->lock))
        return;
    if (heat->ip != syscall->ip)
        start_counting(patches, heat, syscall->ip);
    if (heat->calls != REFUSED)
        heat->calls++;
    hot = is_hot(heat, syscall->ip);
    pthread_mutex_unlock(&patches->lock);
    if (hot)
        look_at_site(subprocess, syscall);
}

/* ---- undoing ---- */

/* What is known of a call depends on the bytes around it and on the pages of these. */
static bool is_near(const struct systrap_heat *heat, uint64_t start, uint64_t end)
{
    return heat->ip + tgi_arch_patching->code_after > start && heat->ip < end + tgi_arch_patching->code_before;
}

/* Counts calls anew. Most operations are on data, far away from all of them. */
static void cool(struct systrap_patches *patches, uint64_t start, uint64_t end)
{
    if (patches->first_heat >= end + tgi_arch_patching->code_before ||
        patches->last_heat + tgi_arch_patching->code_after <= start)
        return;
    for (uint32_t i = 0; i < PATCH_HEATS; i++) {
        if (is_near(&patches->heat[i], start, end))
            patches->heat[i] = (struct systrap_heat){0};
    }
}

static uint64_t end_of(const struct systrap_subprocess *subprocess, const struct tg_mem_op *op)
{
    const uint64_t page = subprocess->base.platform->info.page_size;

    return (op->addr + op->length + page - 1) & ~(page - 1);
}

static int undo(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end)
{
    int err = patch_code_undo(subprocess, start, end);

    if (err == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    return err;
}

/* A site that is only in part in the range of an operation that takes pages away. */
static int undo_at_edge(struct systrap_subprocess *subprocess, uint64_t edge)
{
    const struct patched_page *before = page_of(subprocess, edge - 1);

    return before && before->crossing != NO_SITE ? undo(subprocess, edge - 1, edge + 1) : 0;
}

/* It gives the right that is there already. */
static bool changes_nothing(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, uint64_t end)
{
    const uint32_t page = (uint32_t)subprocess->base.platform->info.page_size;

    return op->kind == TG_MEM_PROTECT && end - op->addr == page && op->prot == (TG_PROT_READ | TG_PROT_EXEC) &&
           may_change(subprocess, op->addr);
}

/*
 * An operation on the pages of a site: they get the original bytes back before
 * it. It may fail, or leave the bytes there for others to read or to write, or
 * take the right to read away. If the host refuses that, for lack of memory,
 * the operation must not be made: it would show the guest bytes that are not
 * its own. One that takes whole pages away takes their sites along, or leaves
 * all as it is. Calls there are counted anew, also where they were left alone:
 * that may have been because of what changes now. order_lock is held.
 */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op)
{
    struct systrap_patches *patches = &subprocess->patches;
    const uint64_t end = end_of(subprocess, op);
    int err = 0;

    if (!patches->count && atomic_load(&patches->off))
        return 0;
    pthread_mutex_lock(&patches->lock);
    if (op->kind == TG_MEM_MAP || op->kind == TG_MEM_UNMAP) {
        err = undo_at_edge(subprocess, op->addr);
        if (!err)
            err = undo_at_edge(subprocess, end);
    } else if (!changes_nothing(subprocess, op, end)) {
        err = undo(subprocess, op->addr, end);
    }
    cool(patches, op->addr, end);
    pthread_mutex_unlock(&patches->lock);
    return err;
}

void patches_after_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, int64_t result)
{
    struct systrap_patches *patches = &subprocess->patches;

    if (!patches->count || (op->kind != TG_MEM_MAP && op->kind != TG_MEM_UNMAP))
        return;
    pthread_mutex_lock(&patches->lock);
    if (result == 0)
        patch_code_forget(subprocess, op->addr, end_of(subprocess, op));
    else
        patch_code_check(subprocess, op->addr, end_of(subprocess, op));
    pthread_mutex_unlock(&patches->lock);
}

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

/* A child has its mother's code. order_lock of the mother is held, and the child does not run. */
int patches_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    struct systrap_patches *from = &mother->patches;
    struct systrap_patches *to = &child->patches;
    size_t n;

    SHARED_STORE(control_of(child)->hide, !atomic_load(&from->off));
    if (!from->count && !from->table_mapped) {
        atomic_store(&to->off, atomic_load(&from->off));
        return 0;
    }
    pthread_mutex_lock(&from->lock);
    n = from->count;
    to->sites = malloc((n ? n : 1) * sizeof(to->sites[0]));
    if (to->sites && make_room_for_ips(to) && !patched_pages_inherit(&to->pages, &from->pages)) {
        for (size_t i = 0; i < n; i++)
            atomic_store(&to->return_ips[i], patches_return_ip(from, (uint32_t)i));
        memcpy(to->sites, from->sites, n * sizeof(to->sites[0]));
        to->count = from->count;
        to->capacity = from->count;
        to->dead = from->dead;
        to->table_mapped = from->table_mapped;
        atomic_store(&to->off, atomic_load(&from->off));
        memcpy(child->memory + SYSTRAP_TABLE, mother->memory + SYSTRAP_TABLE, n * sizeof(uint64_t));
        memcpy(child->memory + SYSTRAP_TRAMPOLINES, mother->memory + SYSTRAP_TRAMPOLINES, n * SYSTRAP_TRAMPOLINE);
    }
    pthread_mutex_unlock(&from->lock);
    return to->pages.records ? 0 : -ENOMEM;
}

/* ---- threads in changed code ---- */

static bool in_trampolines(const struct systrap_subprocess *subprocess, uint64_t ip)
{
    return ip - trampoline_addr(subprocess, 0) < SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES;
}

bool patches_original_ip(struct systrap_subprocess *subprocess, tg_regs *regs)
{
    struct systrap_patches *patches = &subprocess->patches;
    uint64_t ip = tgi_arch.ip(regs);
    uint64_t offset = ip - trampoline_addr(subprocess, 0);
    bool found = false;

    if (!in_trampolines(subprocess, ip))
        return false;
    pthread_mutex_lock(&patches->lock);
    if (offset / SYSTRAP_TRAMPOLINE < patches->count) {
        const struct arch_patch *patch = &patches->sites[offset / SYSTRAP_TRAMPOLINE].patch;

        tgi_arch_patching->set_ip(regs, tgi_arch_patching->original_ip(patch, offset % SYSTRAP_TRAMPOLINE));
        found = true;
    }
    pthread_mutex_unlock(&patches->lock);
    return found;
}

enum arch_patch_meaning patches_explain(struct systrap_subprocess *subprocess, tg_regs *regs, struct arch_syscall *out)
{
    struct systrap_patches *patches = &subprocess->patches;
    enum arch_patch_meaning meaning = ARCH_PATCH_NOT_OURS;
    const struct patched_site *site;

    if (!patches_were_near(subprocess, tgi_arch.ip(regs)))
        return ARCH_PATCH_NOT_OURS;
    /* Whoever changes code, or its mapping, holds these until it is done. */
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&patches->lock);
    site = find_site(subprocess, tgi_arch.ip(regs));
    /* Where its own bytes have gone, the thread may have been in them. */
    if (site)
        meaning = site->undone ? ARCH_PATCH_TRY_AGAIN : tgi_arch_patching->explain(&site->patch, regs, out);
    pthread_mutex_unlock(&patches->lock);
    pthread_mutex_unlock(&subprocess->order_lock);
    return meaning;
}

bool patches_were_near(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    const uint64_t page = subprocess->base.platform->info.page_size;

    return patched_pages_maybe(&subprocess->patches.pages, addr - page, 2 * page, page);
}

uint32_t patches_changes(struct systrap_subprocess *subprocess)
{
    struct systrap_patches *patches = &subprocess->patches;
    uint32_t changes;

    pthread_mutex_lock(&patches->lock);
    changes = patches->changes + 1;
    pthread_mutex_unlock(&patches->lock);
    return changes ? changes : 1;
}
