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

#include "core/systrap/patch_code.h"
#include "core/systrap/watchdog.h"

#define HOT          4   /* calls from one site before it is changed */
#define CHANGES_FREE 512 /* as often a page's sites are undone before its calls have to be more for each time */
#define CHANGES_MORE 20  /* twice as many, this often */
#define REFUSED      UINT32_MAX
#define WINDOW_MAX   64
#define SITES_FIRST  64

/* ---- records ---- */

void patches_init(struct systrap_subprocess *subprocess)
{
    uint64_t patching = systrap_platform(subprocess->base.platform)->config.patching;

    pthread_mutex_init(&subprocess->patches.lock, NULL);
    atomic_store(&subprocess->patches.off, !patching);
    control_of(subprocess)->hide = patching != 0;
}

void patches_destroy(struct systrap_patches *patches)
{
    pthread_mutex_destroy(&patches->lock);
    free(patches->sites);
    free(patches->return_ips);
}

static uint32_t sites_max(void)
{
    uint64_t by_table = tgi_arch.systrap.table_size / sizeof(uint64_t);
    uint64_t by_memory = (SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES) / SYSTRAP_TRAMPOLINE;

    return (uint32_t)(by_table < by_memory ? by_table : by_memory);
}

static uint64_t table_entry(uint32_t index)
{
    return tgi_arch.systrap.table_start + index * sizeof(uint64_t);
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

/* The site whose bytes hold addr, or the newest one that was there. A question for rare occasions. */
static struct patched_site *find_site(struct systrap_patches *patches, uint64_t addr)
{
    struct patched_site *newest = NULL;

    for (uint32_t i = patches->count; i-- > 0;) {
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
        .args = {tgi_arch.systrap.table_start, tgi_arch.systrap.table_size, PROT_READ, MAP_SHARED | MAP_FIXED,
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
 * The bytes around a call. Where the page before its own holds no code, nothing
 * can come from there: bytes that trap stand for it.
 */
static size_t read_code(struct systrap_subprocess *subprocess, uint64_t ip, uint8_t *code, uint64_t *start)
{
    const size_t length = tgi_arch.systrap.code_before + tgi_arch.systrap.code_after;
    uint64_t page_start = (ip - 1) & ~(uint64_t)(subprocess->base.platform->info.page_size - 1);
    size_t skipped;
    size_t done = 0;

    *start = ip - tgi_arch.systrap.code_before;
    subprocess_read(&subprocess->base, *start, code, length, &done);
    if (done || *start >= page_start)
        return done;
    skipped = (size_t)(page_start - *start);
    subprocess_read(&subprocess->base, page_start, code + skipped, length - skipped, &done);
    if (done && !mapping_table_executable(&subprocess->base.mappings, *start)) {
        memset(code, tgi_arch.systrap.trap_byte, skipped);
        return skipped + done;
    }
    memmove(code, code + skipped, done);
    *start = page_start;
    return done;
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
    return tgi_arch.systrap.patch_plan(&request, &plan->patch, plan->trampoline, &plan->trampoline_length);
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

struct past {
    uint32_t changes; /* how often sites in this page were undone */
    uint32_t dead;    /* trampolines, of all pages, whose sites are */
};

static struct past past_of(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    const struct systrap_patches *patches = &subprocess->patches;
    const uint64_t page = patch_page_of(subprocess, addr);
    struct past past = {0};

    for (uint32_t i = 0; i < patches->count; i++) {
        const struct patched_site *site = &patches->sites[i];

        past.dead += site->undone;
        if (page >= patch_page_of(subprocess, site->patch.start) && page <= patch_last_byte(&site->patch) &&
            site->changes > past.changes)
            past.changes = site->changes;
    }
    return past;
}

/*
 * A site costs a trampoline for good, and what changing code takes. Code that
 * does not rest is worth both only if it calls more each time, and must leave
 * half of the trampolines to other code.
 */
static uint32_t calls_wanted(const struct past *past)
{
    uint32_t more = past->changes < CHANGES_FREE ? 0 : past->changes - CHANGES_FREE + 1;

    if (past->changes && past->dead >= sites_max() / 2)
        return REFUSED;
    return HOT << (more < CHANGES_MORE ? more : CHANGES_MORE);
}

/* ---- a site ---- */

/* A site with this plan, which either has the known one's trampoline or a new one. NULL: there is no memory. */
static struct patched_site *site_with(struct systrap_subprocess *subprocess, struct patched_site *known,
                                      const struct plan *plan, uint32_t changes)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct patched_site *site = known;

    if (!known) {
        site = make_room_for_ips(patches) ? add_record(patches) : NULL;
        if (!site || map_table(subprocess))
            return NULL;
        site->patch = plan->patch;
        write_trampoline(subprocess, patches->count, plan);
        atomic_store(&patches->return_ips[patches->count], tgi_arch.systrap.patch_return_ip(&site->patch));
        patches->count++;
    }
    site->undone = false;
    site->changes = changes;
    return site;
}

/* Another mapping may have come in the place of a site that could not be restored. */
static bool is_patched(struct systrap_subprocess *subprocess, struct patched_site *known)
{
    if (known && !known->undone && !patch_code_is(subprocess, &known->patch, known->patch.replacement))
        known->undone = true;
    return known && !known->undone;
}

static bool same_patch(const struct arch_patch *one, const struct arch_patch *other)
{
    return one->start == other->start && one->length == other->length && one->pattern == other->pattern &&
           one->starts == other->starts && memcmp(one->own, other->own, sizeof(one->own)) == 0 &&
           memcmp(one->original, other->original, sizeof(one->original)) == 0 &&
           memcmp(one->replacement, other->replacement, sizeof(one->replacement)) == 0;
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
    if (patches->count == sites_max())
        return TG_PATCH_REFUSED_FULL + 1;
    return plan_site(subprocess, syscall, patches->count, plan);
}

static bool may_change_all(struct systrap_subprocess *subprocess, const struct arch_patch *patch)
{
    return !patch_in_two_pages(subprocess, patch) ||
           (may_change(subprocess, patch->start) && may_change(subprocess, patch_last_byte(patch)));
}

/* order_lock and the patches' lock are held. calls: so many were counted. How many it takes; REFUSED: not this one. */
static uint32_t patch_site(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall, uint32_t calls)
{
    struct systrap_patches *patches = &subprocess->patches;
    struct patched_site *known = find_site(patches, syscall->ip - 1);
    const struct past past = past_of(subprocess, syscall->ip - 1);
    const uint32_t wanted = calls_wanted(&past);
    struct patched_site *site;
    struct plan plan;
    uint32_t refusal;
    int err;

    if (is_patched(subprocess, known))
        return REFUSED;
    if (wanted > calls) {
        refuse(subprocess, TG_PATCH_REFUSED_CHANGES);
        return wanted;
    }
    if (!known && patches->count == sites_max())
        return refuse(subprocess, TG_PATCH_REFUSED_FULL);
    if (!may_change(subprocess, syscall->ip - 1))
        return refuse(subprocess, TG_PATCH_REFUSED_MAPPING);
    refusal = choose_plan(subprocess, syscall, &known, &plan);
    if (refusal)
        return refuse(subprocess, refusal - 1);
    if (!may_change_all(subprocess, &plan.patch))
        return refuse(subprocess, TG_PATCH_REFUSED_PAGE_EDGE);
    site = site_with(subprocess, known, &plan, past.changes);
    if (!site)
        return refuse(subprocess, TG_PATCH_REFUSED_OTHER);
    err = patch_code_change(subprocess, &site->patch, site->patch.replacement);
    if (err == 0) {
        count_site(subprocess, site, syscall);
        return REFUSED;
    }
    site->undone = true;
    if (err == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    return refuse(subprocess, TG_PATCH_REFUSED_OTHER);
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
        if (!atomic_load(&patches->off) && is_hot(heat, syscall->ip) && !watchdog_is_stopped(subprocess)) {
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

/* order_lock and the patches' lock are held. 0; or an error, and then its bytes are what they were. */
static int restore(struct systrap_subprocess *subprocess, struct patched_site *site)
{
    int err = 0;

    if (patch_code_is(subprocess, &site->patch, site->patch.replacement))
        err = patch_code_change(subprocess, &site->patch, site->patch.original);
    /* Also when it failed: contexts in its call go on behind that, for its bytes may soon be gone. */
    atomic_fetch_add(&subprocess->patches.undone, 1);
    if (err == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    if (err)
        return err;
    site->undone = true;
    site->changes++;
    return 0;
}

static bool overlaps(const struct patched_site *site, uint64_t start, uint64_t end)
{
    return !site->undone && site->patch.start < end && start < site->patch.start + site->patch.length;
}

/* Nothing of the site is left if it works, and all if it does not. */
static bool replaces(const struct tg_mem_op *op, uint64_t end, const struct patched_site *site)
{
    return (op->kind == TG_MEM_MAP || op->kind == TG_MEM_UNMAP) && op->addr <= site->patch.start &&
           patch_last_byte(&site->patch) < end;
}

/* What is known of a call depends on the bytes around it and on the pages of these. */
static bool is_near(const struct systrap_heat *heat, uint64_t start, uint64_t end)
{
    return heat->ip + tgi_arch.systrap.code_after > start && heat->ip < end + tgi_arch.systrap.code_before;
}

/* Counts calls anew. Most operations are on data, far away from all of them. */
static void cool(struct systrap_patches *patches, uint64_t start, uint64_t end)
{
    if (patches->first_heat >= end + tgi_arch.systrap.code_before ||
        patches->last_heat + tgi_arch.systrap.code_after <= start)
        return;
    for (uint32_t i = 0; i < PATCH_HEATS; i++) {
        if (is_near(&patches->heat[i], start, end))
            patches->heat[i] = (struct systrap_heat){0};
    }
}

/*
 * An operation on the pages of a site: they get the original bytes back before
 * it, whatever it is. It may fail, or leave the bytes there for others to read
 * or to write, or take the right to read away, or one of two pages. If the host
 * refuses that, for lack of memory, the operation must not be made: it would
 * show the guest bytes that are not its own. Calls there are counted anew, also
 * where they were left alone: that may have been because of what changes now.
 * order_lock is held.
 */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op)
{
    struct systrap_patches *patches = &subprocess->patches;
    uint64_t page = subprocess->base.platform->info.page_size;
    uint64_t end = (op->addr + op->length + page - 1) & ~(page - 1);
    int err = 0;

    if (!patches->count && atomic_load(&patches->off))
        return 0;
    pthread_mutex_lock(&patches->lock);
    for (uint32_t i = 0; i < patches->count && !err; i++) {
        struct patched_site *site = &patches->sites[i];

        if (overlaps(site, op->addr, end) && restore(subprocess, site) && !replaces(op, end, site))
            err = -ENOMEM;
    }
    cool(patches, op->addr, end);
    pthread_mutex_unlock(&patches->lock);
    return err;
}

/* What cannot be restored is still right: where nothing is hidden in the segment base, the call traps and is made. */
void patches_turn_off(struct systrap_subprocess *subprocess)
{
    struct systrap_patches *patches = &subprocess->patches;

    SHARED_STORE(control_of(subprocess)->hide, 0);
    if (atomic_exchange(&patches->off, true))
        return;
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&patches->lock);
    for (uint32_t i = 0; i < patches->count; i++) {
        if (!patches->sites[i].undone)
            restore(subprocess, &patches->sites[i]);
    }
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
    if (to->sites && make_room_for_ips(to)) {
        for (size_t i = 0; i < n; i++)
            atomic_store(&to->return_ips[i], patches_return_ip(from, (uint32_t)i));
        memcpy(to->sites, from->sites, n * sizeof(to->sites[0]));
        to->count = from->count;
        to->capacity = from->count;
        to->table_mapped = from->table_mapped;
        atomic_store(&to->off, atomic_load(&from->off));
        memcpy(child->memory + SYSTRAP_TABLE, mother->memory + SYSTRAP_TABLE, n * sizeof(uint64_t));
        memcpy(child->memory + SYSTRAP_TRAMPOLINES, mother->memory + SYSTRAP_TRAMPOLINES, n * SYSTRAP_TRAMPOLINE);
    }
    pthread_mutex_unlock(&from->lock);
    return to->sites && to->return_ips ? 0 : -ENOMEM;
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

        tgi_arch.systrap.set_ip(regs, tgi_arch.systrap.patch_original_ip(patch, offset % SYSTRAP_TRAMPOLINE));
        found = true;
    }
    pthread_mutex_unlock(&patches->lock);
    return found;
}

/*
 * It met the byte that traps while the others were written: once more. Nobody
 * changes code now, so what is there still is the guest's own.
 */
static enum arch_patch_meaning explain_trap(struct systrap_subprocess *subprocess, const struct arch_patch *patch,
                                            tg_regs *regs)
{
    const uint64_t start = tgi_arch.ip(regs) - tgi_arch.systrap.trap_length;
    uint8_t now = 0;
    size_t done;

    if (patch->start != start || patch->original[0] == tgi_arch.systrap.trap_byte)
        return ARCH_PATCH_NOT_OURS;
    if (!subprocess_read(&subprocess->base, start, &now, sizeof(now), &done) && now == tgi_arch.systrap.trap_byte)
        return ARCH_PATCH_NOT_OURS;
    tgi_arch.systrap.set_ip(regs, start);
    return ARCH_PATCH_CONTINUE;
}

/* Of the newest site there, by the bytes that are there now. Where its own have gone, it may have been in them. */
static enum arch_patch_meaning explain_fault(struct systrap_subprocess *subprocess, const struct arch_patch *patch,
                                             tg_regs *regs, struct arch_syscall *out)
{
    if (patch_code_is(subprocess, patch, patch->replacement))
        return tgi_arch.systrap.patch_explain(patch, regs, out);
    return ARCH_PATCH_TRY_AGAIN;
}

enum arch_patch_meaning patches_explain(struct systrap_subprocess *subprocess, bool trapped, tg_regs *regs,
                                        struct arch_syscall *out)
{
    const uint64_t ip = tgi_arch.ip(regs) - (trapped ? tgi_arch.systrap.trap_length : 0);
    struct systrap_patches *patches = &subprocess->patches;
    enum arch_patch_meaning meaning = ARCH_PATCH_NOT_OURS;
    const struct patched_site *site;

    /* Whoever changes code, or its mapping, holds these until it is done. */
    pthread_mutex_lock(&subprocess->order_lock);
    pthread_mutex_lock(&patches->lock);
    site = find_site(patches, ip);
    if (site)
        meaning =
            trapped ? explain_trap(subprocess, &site->patch, regs) : explain_fault(subprocess, &site->patch, regs, out);
    pthread_mutex_unlock(&patches->lock);
    pthread_mutex_unlock(&subprocess->order_lock);
    return meaning;
}
