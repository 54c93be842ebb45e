/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_site_checks.h"

#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "patch_site_run.h"

const ZydisDecoder *decoder(void)
{
    static ZydisDecoder decoder;
    assert_true(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
    return &decoder;
}

size_t instruction_length(const uint8_t *code, size_t length)
{
    ZydisDecodedInstruction instruction;
    const ZyanStatus status = ZydisDecoderDecodeInstruction(decoder(), NULL, code, length, &instruction);
    return ZYAN_SUCCESS(status) ? instruction.length : 0;
}

static uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

/* One `jmp *entry` through an absolute address, and nothing but traps behind it. */
static void check_jump(const struct patch_plan *plan, uint64_t table_entry)
{
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    assert_true(
        ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), plan->replacement, plan->site.length, &instruction, operands)));
    assert_int_equal(instruction.mnemonic, ZYDIS_MNEMONIC_JMP);
    assert_int_equal(instruction.length, PATCH_JUMP_LENGTH);
    assert_int_equal(instruction.raw.prefix_count, 0);
    assert_int_equal(operands[0].type, ZYDIS_OPERAND_TYPE_MEMORY);
    assert_int_equal(operands[0].size, 64);
    assert_int_equal(operands[0].mem.base, ZYDIS_REGISTER_NONE);
    assert_int_equal(operands[0].mem.index, ZYDIS_REGISTER_NONE);
    assert_int_equal((uint64_t)operands[0].mem.disp.value, table_entry);
    assert_in_range(plan->site.length, PATCH_JUMP_LENGTH, PATCH_SITE_MAX);
    for (size_t i = PATCH_JUMP_LENGTH; i < plan->site.length; i++)
        assert_int_equal(plan->replacement[i], 0xcc);
}

/* The instruction at *offset of the trampoline must be opcode + displacement to a quad or place; says to which. */
static size_t check_rip_relative(const struct patch_plan *plan, size_t *offset, const uint8_t *opcode, size_t length)
{
    uint32_t displacement;
    size_t target;
    assert_memory_equal(plan->trampoline + *offset, opcode, length);
    assert_int_equal(instruction_length(plan->trampoline + *offset, 15), length + 4);
    memcpy(&displacement, plan->trampoline + *offset + length, sizeof(displacement));
    *offset += length + 4;
    target = *offset + displacement;
    assert_in_range(target, *offset, plan->trampoline_length - 8);
    assert_int_equal(target % 8, 0);
    return target;
}

void check_trampoline(const struct patch_plan *plan, const struct patch_request *request)
{
    const struct patch_site *site = &plan->site;
    const bool after = site->pattern == PATCH_AFTER;
    const size_t syscall_offset = after ? 0 : site->before_length;
    size_t offset = 0;
    size_t target;

    assert_in_range(plan->trampoline_length, 1, PATCH_TRAMPOLINE_MAX);
    assert_int_equal(site->trampoline, request->trampoline);
    assert_int_equal(after ? site->before_length : site->after_length, 0);
    assert_memory_equal(plan->trampoline, plan->original, site->before_length);
    offset += site->before_length;
    target = check_rip_relative(plan, &offset, (const uint8_t[]){0x48, 0x8d, 0x0d}, 3);
    assert_int_equal(target, site->after_offset);
    target = check_rip_relative(plan, &offset, (const uint8_t[]){0xff, 0x25}, 2);
    assert_int_equal(load64(plan->trampoline + target), request->entry);
    for (; offset < target; offset++)
        assert_int_equal(plan->trampoline[offset], 0xcc);
    assert_int_equal(target + 16, site->after_offset);
    assert_int_equal(load64(plan->trampoline + site->after_offset - 8), request->ip);
    assert_int_equal(site->start + syscall_offset + 2, request->ip);

    offset = site->after_offset;
    assert_memory_equal(plan->trampoline + offset, plan->original + 2, site->after_length);
    offset += site->after_length;
    target = check_rip_relative(plan, &offset, (const uint8_t[]){0xff, 0x25}, 2);
    assert_int_equal(load64(plan->trampoline + target), request->ip + site->after_length);
    assert_int_equal(plan->trampoline_length, target + 8);
}

/* The instructions that were displaced start where the site says, and what comes to them is led on. */
static void check_arrivals(const struct patch_plan *plan)
{
    const struct patch_site *site = &plan->site;
    const size_t length = site->length;
    size_t offset = 0;
    unsigned int expected = 0;

    while (offset < length) {
        const struct patch_redirect redirect = patch_redirect(site, site->start + offset);
        const size_t step = instruction_length(plan->original + offset, PATCH_SITE_MAX - offset);
        assert_int_not_equal(step, 0);
        if (!offset) {
            assert_int_equal(redirect.kind, PATCH_NOT_OURS);
        } else {
            assert_true(under_valgrind() || traps(plan->replacement, length, offset));
            if (site->pattern == PATCH_AFTER) {
                expected |= 1u << offset;
                assert_int_equal(redirect.kind, PATCH_CONTINUE_AT);
                assert_memory_equal(plan->trampoline + (redirect.addr - site->trampoline), plan->original + offset,
                                    step);
                assert_int_equal(patch_original_ip(site, redirect.addr - site->trampoline), site->start + offset);
            } else {
                assert_int_equal(redirect.kind, PATCH_SYSCALL);
                assert_int_equal(site->start + offset, patch_syscall_ip(site));
            }
        }
        offset += step;
    }
    /* Nothing is cut in two. */
    assert_int_equal(offset, length);
    assert_int_equal(site->boundaries, expected);
    assert_int_equal(patch_redirect(site, site->start + length).kind, PATCH_NOT_OURS);
    assert_int_equal(patch_redirect(site, site->start - 1).kind, PATCH_NOT_OURS);
}

void check_plan(const struct patch_plan *plan, const struct patch_request *request)
{
    const struct patch_site *site = &plan->site;
    assert_int_equal(plan->refusal, PATCH_OK);
    assert_memory_equal(plan->original, request->code + (site->start - request->code_addr), site->length);
    check_jump(plan, request->table_entry);
    check_trampoline(plan, request);
    check_arrivals(plan);
}

struct patch_plan accepted(const struct code *code, uint64_t nr, enum patch_pattern pattern)
{
    const struct patch_request request = request_for(code, nr);
    struct patch_plan plan;
    assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
    assert_int_equal(plan.site.pattern, pattern);
    check_plan(&plan, &request);
    return plan;
}
