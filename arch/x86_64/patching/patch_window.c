/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_window.h"

bool patch_window_open(struct patch_window *window, const uint8_t *code, uint64_t start, size_t length)
{
    window->code = code;
    window->start = start;
    window->end = start + length;
    return ZYAN_SUCCESS(ZydisDecoderInit(&window->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
}

bool patch_window_has(const struct patch_window *window, uint64_t from, uint64_t to)
{
    return from >= window->start && from <= to && to <= window->end;
}

const uint8_t *patch_window_at(const struct patch_window *window, uint64_t addr)
{
    return window->code + (addr - window->start);
}

ZyanStatus patch_window_decode(const struct patch_window *window, uint64_t addr, uint64_t limit,
                               struct patch_instruction *d)
{
    uint64_t length = limit - addr;

    if (length > PATCH_INSTRUCTION_MAX)
        length = PATCH_INSTRUCTION_MAX;
    return ZydisDecoderDecodeFull(&window->decoder, patch_window_at(window, addr), length, &d->instruction,
                                  d->operands);
}

bool patch_leaves_the_line(const struct patch_instruction *d)
{
    switch (d->instruction.meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_UNCOND_BR:
        return true;
    default:
        return false;
    }
}

ZydisRegister patch_whole_register(ZydisRegister reg)
{
    return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
}
