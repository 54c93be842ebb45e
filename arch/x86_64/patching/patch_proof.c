/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_proof.h"

#include <string.h>

#include "patch_plan.h"
#include "x86_64.h"

/* Lengths of mov instructions that set the number, as patch_before.c has them; 0: of none. */
static const uint8_t mov_lengths[] = {0, 5, 7, PATCH_PROOF_MOV};

/* Where the instruction behind the one at addr begins; what is none is passed over byte by byte. */
static uint64_t next_of(const struct patch_window *window, uint64_t addr, uint64_t limit)
{
    ZydisDecodedInstruction instruction;
    const uint64_t length = limit - addr < PATCH_INSTRUCTION_MAX ? limit - addr : PATCH_INSTRUCTION_MAX;

    if (ZYAN_FAILED(
            ZydisDecoderDecodeInstruction(&window->decoder, NULL, patch_window_at(window, addr), length, &instruction)))
        return addr + 1;
    return addr + instruction.length;
}

/*
 * Does an instruction begin at addr? Of as many starts in a row as an
 * instruction has bytes at most one is real, if there is code. If all of them
 * lead to addr, the real one does, and no instruction goes over it. A few steps
 * are enough for starts that are not real to come upon the real instructions.
 */
static bool all_lead_to(const struct patch_window *window, uint64_t addr)
{
    const uint64_t first = addr - PATCH_PROOF_BEFORE;
    bool reached[PATCH_PROOF_BEFORE + 1] = {false};

    if (!patch_window_has(window, first, addr))
        return false;
    memset(reached, true, PATCH_INSTRUCTION_MAX);
    for (uint64_t at = first; at < addr; at++) {
        uint64_t next;

        if (!reached[at - first])
            continue;
        next = next_of(window, at, window->end);
        if (next > addr)
            return false;
        reached[next - first] = true;
    }
    return true;
}

/* Does a mov right before the call set a number that is left alone? Whatever number a guest came there with. */
static bool returns_from_signal(const struct patch_window *window, uint64_t syscall_addr)
{
    const uint8_t *code = patch_window_at(window, syscall_addr);
    uint32_t nr;

    memcpy(&nr, code - sizeof(nr), sizeof(nr));
    return patch_is_signal_return(nr) && (code[-5] == 0xb8 || !memcmp(code - 7, "\x48\xc7\xc0", 3));
}

uint32_t patch_proof_starts(const struct patch_window *window, uint64_t ip)
{
    const uint64_t syscall_addr = ip - X86_SYSCALL_LENGTH;
    uint32_t starts = 0;

    if (!patch_window_has(window, syscall_addr - PATCH_PROOF_MOV - PATCH_PROOF_BEFORE, ip) ||
        returns_from_signal(window, syscall_addr))
        return 0;
    for (size_t i = 0; i < sizeof(mov_lengths); i++) {
        if (all_lead_to(window, syscall_addr - mov_lengths[i]))
            starts |= 1u << (X86_SYSCALL_LENGTH + mov_lengths[i]);
    }
    return starts & 1u << X86_SYSCALL_LENGTH ? starts : 0;
}
