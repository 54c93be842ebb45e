/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The operations of patched system calls, in terms of plans and patched sites. */
#include <Zydis/Zydis.h>
#include <linux/audit.h>
#include <string.h>

#include "patch_plan.h"
#include "patch_proof.h"
#include "systrap_offsets.h"
#include "x86_64.h"

_Static_assert(PATCH_SITE_MAX <= ARCH_PATCH_BYTES, "a site's bytes fit");
_Static_assert(sizeof(struct patch_site) <= sizeof(((struct arch_patch *)0)->own), "a site fits");

static struct patch_site site_of(const struct arch_patch *patch)
{
    struct patch_site site;

    memcpy(&site, patch->own, sizeof(site));
    return site;
}

enum patch_refusal x86_patch_plan(const struct arch_patch_request *request, struct arch_patch *patch,
                                  uint8_t *trampoline, size_t *trampoline_length)
{
    const struct patch_request wanted = {
        .ip = request->ip,
        .nr = request->nr,
        .code = request->code,
        .code_addr = request->code_addr,
        .code_length = request->code_length,
        .table_entry = request->table_entry,
        .trampoline = request->trampoline,
        .entry = request->region + SYSTRAP_OFFSET_PATCHED,
    };
    struct patch_plan plan;
    enum patch_refusal refusal = patch_plan_make(&wanted, &plan);

    if (refusal != PATCH_OK)
        return refusal;
    memset(patch, 0, sizeof(*patch));
    patch->start = plan.site.start;
    patch->length = plan.site.length;
    patch->pattern = plan.site.pattern;
    memcpy(patch->original, plan.original, plan.site.length);
    memcpy(patch->replacement, plan.replacement, plan.site.length);
    memcpy(patch->own, &plan.site, sizeof(plan.site));
    memcpy(trampoline, plan.trampoline, plan.trampoline_length);
    *trampoline_length = plan.trampoline_length;
    return PATCH_OK;
}

uint32_t x86_patch_proven_starts(const uint8_t *code, uint64_t code_addr, size_t length, uint64_t ip)
{
    struct patch_window window;

    return patch_window_open(&window, code, code_addr, length) ? patch_proof_starts(&window, ip) : 0;
}

uint64_t x86_patch_return_ip(const struct arch_patch *patch)
{
    const struct patch_site site = site_of(patch);

    return patch_return_ip(&site);
}

uint64_t x86_patch_original_ip(const struct arch_patch *patch, uint64_t offset)
{
    const struct patch_site site = site_of(patch);

    return patch_original_ip(&site, offset);
}

bool x86_forbids_patching(const tg_regs *regs)
{
    /* A worker's own %gs base takes the place of a guest's zero. */
    return regs->eflags & X86_EFLAGS_TF || regs->gs_base != 0 || regs->gs != 0;
}

static bool uses_gs(const tg_regs *regs, const struct arch_guest *guest)
{
    uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
    size_t length = guest->read(guest->arg, regs->rip, code, sizeof(code));
    ZydisDecodedInstruction instruction;
    ZydisDecoder decoder;

    return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
           ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, length, &instruction)) &&
           instruction.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS;
}

/* The hidden base leads to addresses that no program can have: the processor says no address, or one in the upper half.
 */
bool x86_met_hidden(const struct systrap_slot *slot, const siginfo_t *info, const tg_regs *regs,
                    const struct arch_guest *guest)
{
    const bool no_address = info->si_code == SI_KERNEL || (int64_t)(uintptr_t)info->si_addr < 0;

    return info->si_signo == SIGSEGV && no_address && x86_systrap_hides_base(slot) && uses_gs(regs, guest);
}

void x86_set_ip(tg_regs *regs, uint64_t ip)
{
    regs->rip = ip;
}

static void make_syscall(const struct patch_site *site, tg_regs *regs, struct arch_syscall *out)
{
    regs->rip = patch_return_ip(site);
    regs->rcx = regs->rip;
    regs->r11 = regs->eflags;
    regs->orig_rax = regs->rax;
    *out = (struct arch_syscall){
        .nr = regs->rax,
        .args = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
        .ip = regs->rip,
        .arch = AUDIT_ARCH_X86_64,
    };
    x86_syscall_entered(out);
}

enum arch_patch_meaning x86_patch_explain(const struct arch_patch *patch, tg_regs *regs, struct arch_syscall *out)
{
    const struct patch_site site = site_of(patch);
    const struct patch_redirect wanted = patch_redirect(&site, regs->rip);

    switch (wanted.kind) {
    case PATCH_SYSCALL:
        make_syscall(&site, regs, out);
        return ARCH_PATCH_SYSCALL;
    case PATCH_CONTINUE_AT:
        regs->rip = wanted.addr;
        return ARCH_PATCH_CONTINUE;
    default:
        return ARCH_PATCH_NOT_OURS;
    }
}
