/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The bytes around a site, by address, and the instructions among them. */
#ifndef ARCH_X86_64_PATCHING_PATCH_WINDOW_H
#define ARCH_X86_64_PATCHING_PATCH_WINDOW_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>

#define PATCH_INSTRUCTION_MAX 15 /* bytes of one instruction */

/* What could be read. */
struct patch_window {
    ZydisDecoder decoder;
    const uint8_t *code;
    uint64_t start;
    uint64_t end;
};

struct patch_instruction {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* False when instructions cannot be decoded. */
bool patch_window_open(struct patch_window *window, const uint8_t *code, uint64_t start, size_t length);

bool patch_window_has(const struct patch_window *window, uint64_t from, uint64_t to);
const uint8_t *patch_window_at(const struct patch_window *window, uint64_t addr);

/* The instruction at this address, which ends where the limit is, or before; both are inside of the window. */
ZyanStatus patch_window_decode(const struct patch_window *window, uint64_t addr, uint64_t limit,
                               struct patch_instruction *d);

/* Whether what follows in memory is not what runs next, or not all that does. */
bool patch_leaves_the_line(const struct patch_instruction *d);

/* eax, ax and al are parts of rax. */
ZydisRegister patch_whole_register(ZydisRegister reg);

#endif
