/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/site_plan.h"
#include "core/systrap/patching/trampolines.h"

#define WINDOW_MAX 64

/*
 * The bytes around a call, as they are at this moment: a neighbour's jump is
 * none that could be displaced. Where the page before its own holds no code,
 * nothing can come from there: bytes that trap stand for it.
 */
static size_t read_code(struct systrap_subprocess *subprocess, uint64_t ip, uint8_t *code, uint64_t *start)
{
    const size_t length = tgi_arch_patching->code_before + tgi_arch_patching->code_after;
    const uint64_t page_start = patched_page_start(&subprocess->patches.sites.pages, ip - 1);
    size_t skipped;
    ssize_t done;

    *start = ip - tgi_arch_patching->code_before;
    done = code_read_now(subprocess, *start, code, length);
    if (done > 0 || *start >= page_start)
        return done > 0 ? (size_t)done : 0;
    skipped = (size_t)(page_start - *start);
    done = code_read_now(subprocess, page_start, code + skipped, length - skipped);
    if (done > 0 && !mapping_table_executable(&subprocess->base.mappings, *start)) {
        memset(code, tgi_arch_patching->trap_byte, skipped);
        return skipped + (size_t)done;
    }
    memmove(code, code + skipped, done > 0 ? (size_t)done : 0);
    *start = page_start;
    return done > 0 ? (size_t)done : 0;
}

enum patch_refusal site_plan_of_code(const struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                     const struct site_code *code, uint32_t number, struct site_plan *plan)
{
    const struct arch_patch_request request = {
        .ip = syscall->ip,
        .nr = syscall->nr,
        .code = code->bytes,
        .code_addr = code->addr,
        .code_length = code->length,
        .table_entry = trampoline_table_entry(number),
        .trampoline = trampoline_addr(subprocess, number),
        .region = systrap_platform(subprocess->base.platform)->region,
    };

    return tgi_arch_patching->plan(&request, &plan->patch, plan->trampoline, &plan->trampoline_length);
}

enum patch_refusal site_plan_make(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall,
                                  uint32_t number, struct site_plan *plan)
{
    uint8_t bytes[WINDOW_MAX] = {0};
    struct site_code code = {.bytes = bytes};

    code.length = read_code(subprocess, syscall->ip, bytes, &code.addr);
    return site_plan_of_code(subprocess, syscall, &code, number, plan);
}

bool site_plan_is_of(const struct site_plan *plan, const struct patched_site *site)
{
    const struct arch_patch *one = &plan->patch;
    const struct arch_patch *other = &site->patch;

    return one->start == other->start && one->length == other->length && one->pattern == other->pattern &&
           memcmp(one->own, other->own, sizeof(one->own)) == 0 &&
           memcmp(one->original, other->original, sizeof(one->original)) == 0 &&
           memcmp(one->replacement, other->replacement, sizeof(one->replacement)) == 0;
}
