/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/file_bytes.h"
#include "core/systrap/patching/page_orders.h"
#include "core/systrap/patching/patch_decision.h"
#include "core/systrap/patching/remembered_sites.h"
#include "core/systrap/patching/site_batch.h"
#include "core/systrap/patching/site_heat.h"
#include "core/systrap/patching/site_memory.h"
#include "core/systrap/patching/trampolines.h"

static struct site_memory *memory_of(const struct systrap_subprocess *subprocess)
{
    return &systrap_platform(subprocess->base.platform)->site_memory;
}

/* What has to be the same for a site to be remembered by: all that planning and proving look at. */
static uint64_t code_start(uint64_t ip)
{
    return ip - tgi_arch_patching->proof_before;
}

static uint32_t code_length(void)
{
    return tgi_arch_patching->proof_before + tgi_arch_patching->code_after;
}

static bool holds_code(const struct code_file *file, uint64_t ip)
{
    return ip - file->start >= tgi_arch_patching->proof_before && file->end - ip >= tgi_arch_patching->code_after;
}

static uint64_t offset_in(const struct code_file *file, uint64_t ip)
{
    return ip - file->start + file->offset;
}

/* ---- remembering ---- */

bool remembered_sites_count(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall)
{
    const struct code_file *file = code_files_find(&subprocess->code_files, syscall->ip - 1);

    return file && site_memory_count(memory_of(subprocess), &file->identity, offset_in(file, syscall->ip));
}

/* One that is refused for its place among the others may have a better one elsewhere. */
static bool can_be_patched(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                           const struct remembered_site *site)
{
    const struct site_code code = {site->code, code_start(syscall->ip), site->length};
    struct site_plan plan;
    const enum patch_refusal refusal = site_plan_of_code(subprocess, syscall, &code, 0, &plan);

    return refusal == PATCH_OK || refusal == PATCH_REFUSED_NO_ROOM;
}

void remembered_sites_learn(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall)
{
    const struct code_file *file = code_files_find(&subprocess->code_files, syscall->ip - 1);
    const uint64_t start = code_start(syscall->ip);
    struct remembered_site site = {.nr = syscall->nr, .length = code_length()};

    if (!file)
        return;
    site.offset = offset_in(file, syscall->ip);
    if (holds_code(file, syscall->ip) &&
        code_read_written(subprocess, start, site.code, site.length) == (ssize_t)site.length &&
        can_be_patched(subprocess, syscall, &site))
        site.starts = tgi_arch_patching->proven_starts(site.code, start, site.length, syscall->ip);
    site_memory_learn(memory_of(subprocess), &file->identity, &site);
}

/* ---- mappings ---- */

static bool maps_code(const struct tg_mem_op *op)
{
    return op->kind == TG_MEM_MAP && op->fd >= 0 && !mapping_is_shared(op) && op->prot == (TG_PROT_READ | TG_PROT_EXEC);
}

static uint64_t end_of(const struct systrap_subprocess *subprocess, const struct tg_mem_op *op)
{
    const uint64_t page = subprocess->base.platform->info.page_size;

    return (op->addr + op->length + page - 1) & ~(page - 1);
}

static bool find_file(const struct systrap_subprocess *subprocess, const struct tg_mem_op *op, struct code_file *file)
{
    *file = (struct code_file){.start = op->addr, .end = end_of(subprocess, op), .offset = op->offset};
    return maps_code(op) && file_identity_of(op->fd, &file->identity);
}

static const struct code_file *find_mapped(const struct mapped_files *mapped, uint64_t addr)
{
    for (uint32_t i = 0; i < mapped->count; i++) {
        if (mapped->files[i].start == addr)
            return &mapped->files[i];
    }
    return NULL;
}

void remembered_sites_note_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op,
                              const struct mapped_files *mapped, int64_t result)
{
    const struct code_file *known = find_mapped(mapped, op->addr);
    struct code_file file;

    if (op->kind == TG_MEM_ADVISE)
        return;
    code_files_cut(&subprocess->code_files, op->addr, end_of(subprocess, op));
    if (op->kind == TG_MEM_MOVE)
        code_files_cut(&subprocess->code_files, op->offset, op->offset + (end_of(subprocess, op) - op->addr));
    if (result || !maps_code(op))
        return;
    if (known || find_file(subprocess, op, &file))
        code_files_add(&subprocess->code_files, known ? known : &file);
}

/* ---- patching ---- */

/* A site of a file that is mapped, with the same bytes, and its page. */
struct found_site {
    const struct remembered_site *site;
    uint64_t ip;
    uint32_t page;
};

/* Half of the trampolines are for sites that show themselves, and pages that change too often are left alone. */
static bool is_worth_it(const struct systrap_subprocess *subprocess, uint64_t ip)
{
    const struct site_table *table = &subprocess->patches.sites;
    const struct patched_site *site = site_table_find(table, ip - 1);

    return (!site || site->undone) && table->count < table->max / 2 && heat_wanted(table, ip - 1) == CALLS_HOT;
}

static bool is_as_remembered(const struct site_batch *batch, uint32_t page, const struct remembered_site *site,
                             uint64_t ip)
{
    uint8_t now[SITE_CODE];

    return site_batch_read(batch, page, code_start(ip), now, site->length) &&
           memcmp(now, site->code, site->length) == 0;
}

/* Before any of them is changed, for their bytes may overlap. */
static size_t find_sites(struct site_batch *batch, const struct code_file *file, const struct remembered_site *sites,
                         size_t n, struct found_site *found)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        const uint64_t ip = file->start + (sites[i].offset - file->offset);
        uint32_t page;

        if (!holds_code(file, ip) || !is_worth_it(batch->subprocess, ip))
            continue;
        page = site_batch_page(batch, ip - 1);
        if (page != NO_BATCH_PAGE && is_as_remembered(batch, page, &sites[i], ip))
            found[count++] = (struct found_site){&sites[i], ip, page};
    }
    return count;
}

/* What other patches of the batch have changed nearby is no more to be displaced than in code that is patched. */
static void add_site(struct site_batch *batch, const struct found_site *found)
{
    const struct arch_syscall syscall = {.ip = found->ip, .nr = found->site->nr};
    uint8_t bytes[SITE_CODE];
    const struct site_code code = {bytes, code_start(found->ip), found->site->length};

    if (site_batch_read(batch, found->page, code.addr, bytes, code.length))
        site_batch_add(batch, found->page, &syscall, found->site->starts, &code);
}

/* How many pages so many calls of an order can change. */
static uint32_t pages_for(size_t calls)
{
    uint32_t pages = 0;

    while (pages < CHANGES_AT_ONCE && page_orders_calls(pages + 1) <= calls)
        pages++;
    return pages;
}

static void put_file(struct site_batch *batch, struct code_file *file)
{
    struct remembered_site sites[SITES_REMEMBERED];
    struct found_site found[SITES_REMEMBERED];
    size_t n = site_memory_map(memory_of(batch->subprocess), file, sites);

    n = find_sites(batch, file, sites, n, found);
    for (size_t i = 0; i < n; i++)
        add_site(batch, &found[i]);
}

/* Something of it. */
static bool is_within(const struct code_file *file, uint64_t start, uint64_t length)
{
    return start < file->end && start + length > file->start;
}

/* Does one of these operations change what op has mapped? */
static bool is_changed(const struct systrap_subprocess *subprocess, const struct code_file *file,
                       const struct tg_mem_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t length = end_of(subprocess, &ops[i]) - ops[i].addr;

        if (is_within(file, ops[i].addr, length))
            return true;
        if (ops[i].kind == TG_MEM_MOVE && is_within(file, ops[i].offset, length))
            return true;
    }
    return false;
}

void remembered_sites_add_calls(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n,
                                struct mapped_files *mapped)
{
    struct site_batch *batch = &mapped->batch;

    *batch = (struct site_batch){.subprocess = subprocess, .pages_max = pages_for(ORDERS_MAX - n)};
    for (size_t i = 0; i < n && mapped->count < FILES_AT_ONCE; i++) {
        struct code_file *file = &mapped->files[mapped->count];

        if (!find_file(subprocess, &ops[i], file) || is_changed(subprocess, file, &ops[i + 1], n - i - 1))
            continue;
        mapped->count++;
        batch->fd = ops[i].fd;
        batch->file = file;
        put_file(batch, file);
    }
    mapped->calls = site_batch_fill(batch, &orders_of(subprocess)->calls[n]);
}

void remembered_sites_renew(struct systrap_subprocess *subprocess)
{
    struct code_files *files = &subprocess->code_files;
    const uint32_t learned = site_memory_learned(memory_of(subprocess));
    struct site_batch batch = {.subprocess = subprocess, .fd = -1, .pages_max = CHANGES_AT_ONCE};

    if (files->learned == learned)
        return;
    files->learned = learned;
    for (uint32_t i = 0; i < files->count; i++)
        put_file(&batch, &files->files[i]);
    site_batch_put(&batch);
}
