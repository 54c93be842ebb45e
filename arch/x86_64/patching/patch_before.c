/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_before.h"

#include <string.h>

#include "patch_bytes.h"
#include "x86_64.h"

#define PAGE_SHIFT 12

/*
 * The ways to set the number that assemblers and compilers emit. Only an
 * immediate can be compared with what was seen at run time, and that is the
 * evidence that the instruction is one.
 */
static const struct mov_form {
    enum patch_pattern pattern;
    uint8_t opcode[3];
    uint8_t opcode_length;
    uint8_t length;
} mov_forms[] = {
    {PATCH_BEFORE_OTHER, {0x48, 0xb8}, 2, 10},      /* movabs $imm64,%rax */
    {PATCH_BEFORE_OTHER, {0x48, 0xc7, 0xc0}, 3, 7}, /* mov $simm32,%rax */
    {PATCH_BEFORE_MOV_EAX, {0xb8}, 1, 5},           /* mov $imm32,%eax */
};

/* The bytes behind the opcode that make rax this number; false when none do. */
static bool mov_immediate(const struct mov_form *form, uint64_t nr, uint8_t *to)
{
    const bool sign_extended = form->opcode_length == 3;

    patch_put_le64(to, nr);
    if (form->length - form->opcode_length == 8)
        return true;
    return nr == (sign_extended ? (uint64_t)(int64_t)(int32_t)nr : (uint32_t)nr);
}

static bool is_mov_of(const struct patch_window *window, const struct mov_form *form, uint64_t nr, uint64_t addr)
{
    const uint8_t *code = patch_window_at(window, addr);
    uint8_t immediate[8];

    return mov_immediate(form, nr, immediate) && !memcmp(code, form->opcode, form->opcode_length) &&
           !memcmp(code + form->opcode_length, immediate, form->length - form->opcode_length);
}

/*
 * An access to the first page through rax. Only instructions with one opcode byte: all of those that have a memory
 * operand do access it, but for lea, while others are hints.
 */
static bool accesses_first_page(const struct patch_instruction *d, const ZydisDecodedOperand *op, uint64_t rax)
{
    return d->instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           op->mem.type == ZYDIS_MEMOP_TYPE_MEM && patch_whole_register(op->mem.base) == ZYDIS_REGISTER_RAX &&
           op->mem.index == ZYDIS_REGISTER_NONE && op->mem.segment != ZYDIS_REGISTER_FS &&
           op->mem.segment != ZYDIS_REGISTER_GS && rax + (uint64_t)op->mem.disp.value < 1u << PAGE_SHIFT;
}

static bool writes_rax(const struct patch_instruction *d)
{
    for (size_t i = 0; i < d->instruction.operand_count; i++) {
        const ZydisDecodedOperand *op = &d->operands[i];
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
            patch_whole_register(op->reg.value) == ZYDIS_REGISTER_RAX)
            return true;
    }
    return false;
}

/* Nothing is mapped at the first page, and a guest has no ports. */
static bool faults(const struct patch_instruction *d, uint64_t rax)
{
    if (d->instruction.meta.category == ZYDIS_CATEGORY_IO)
        return true;
    for (size_t i = 0; i < d->instruction.operand_count; i++)
        if (accesses_first_page(d, &d->operands[i], rax))
            return true;
    return false;
}

/*
 * Is there an instruction at from that goes over addr, and are there others
 * from its end to exactly the syscall? Not if one of these would have faulted
 * with the number in rax that was seen at the syscall: so it has not run.
 */
static bool covers(const struct patch_window *window, uint64_t from, uint64_t addr, uint64_t syscall_addr, uint64_t nr)
{
    bool faulted = false;
    uint64_t at = from;

    while (at < syscall_addr) {
        struct patch_instruction d;
        if (ZYAN_FAILED(patch_window_decode(window, at, syscall_addr, &d)))
            return false;
        if (at == from && at + d.instruction.length <= addr)
            return false;
        /* What comes before a jump, or a change of rax, knew another rax. */
        if (patch_leaves_the_line(&d) || writes_rax(&d))
            faulted = false;
        else
            faulted |= faults(&d, nr);
        at += d.instruction.length;
    }
    return !faulted;
}

/*
 * Code cannot be read backwards. The mov at addr is one unless its first byte
 * belongs to an instruction that starts earlier, from which the syscall can be
 * reached too. Starts that cannot be seen could be such.
 */
static enum patch_refusal decoy_refusal(const struct patch_window *window, uint64_t addr, uint64_t syscall_addr,
                                        uint64_t nr)
{
    for (uint64_t back = 1; back < PATCH_INSTRUCTION_MAX; back++) {
        if (!patch_window_has(window, addr - back, addr))
            return PATCH_REFUSED_UNREADABLE;
        if (covers(window, addr - back, addr, syscall_addr, nr))
            return PATCH_REFUSED_DECOY;
    }
    return PATCH_OK;
}

/* Fills the plan's site and replacement; the mov is right before the syscall. */
static enum patch_refusal plan_mov(const struct patch_request *request, const struct patch_window *window,
                                   const struct mov_form *form, struct patch_plan *plan)
{
    const uint64_t syscall_addr = request->ip - X86_SYSCALL_LENGTH;
    const uint64_t mov_addr = syscall_addr - form->length;
    const uint8_t length = form->length > PATCH_JUMP_LENGTH ? form->length : PATCH_JUMP_LENGTH;
    enum patch_refusal refusal;

    refusal = decoy_refusal(window, mov_addr, syscall_addr, request->nr);
    if (refusal != PATCH_OK)
        return refusal;
    patch_put_jump(plan->replacement, false, request->table_entry);
    plan->site.pattern = (uint8_t)form->pattern;
    plan->site.start = mov_addr;
    plan->site.length = length;
    plan->site.before_length = form->length;
    return PATCH_OK;
}

/* No more than one of the forms fits the number: their opcodes would have to be part of it. */
enum patch_refusal patch_plan_before(const struct patch_request *request, const struct patch_window *window,
                                     struct patch_plan *plan)
{
    const uint64_t syscall_addr = request->ip - X86_SYSCALL_LENGTH;
    bool unknown = false;

    for (size_t i = 0; i < sizeof(mov_forms) / sizeof(mov_forms[0]); i++) {
        const struct mov_form *form = &mov_forms[i];
        const uint64_t mov_addr = syscall_addr - form->length;
        if (!patch_window_has(window, mov_addr, syscall_addr))
            unknown = true;
        else if (is_mov_of(window, form, request->nr, mov_addr))
            return plan_mov(request, window, form, plan);
    }
    return unknown ? PATCH_REFUSED_UNREADABLE : PATCH_REFUSED_NO_MOV;
}
