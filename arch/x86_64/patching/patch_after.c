/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_after.h"

#include <string.h>

#include "patch_bytes.h"
#include "patch_neighbour.h"
#include "x86_64.h"

/*
 * First bytes of instructions that trap whatever follows them: invalid in
 * 64-bit mode, or an access to ports, or hlt; in their order. Those that newer
 * processors gave a meaning (62, c4, c5, d5, d6) are not here, nor those that
 * merely could get one.
 */
static const uint8_t trapping[] = {
    0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f,       /* push and pop of segment registers */
    0x27, 0x2f, 0x37, 0x3f,                         /* decimal adjustments */
    0x60, 0x61,                                     /* pusha, popa */
    0xce,                                           /* into */
    0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, /* in, out: a guest has no port */
    0xf4,                                           /* hlt */
};

static bool byte_traps(uint8_t byte)
{
    return memchr(trapping, byte, sizeof(trapping)) != NULL;
}

/* The second byte of an entry's address, of those that do not trap: from the lowest on. */
static uint32_t other_byte(uint32_t index)
{
    for (size_t i = 0; i < sizeof(trapping); i++)
        index += index >= trapping[i];
    return index;
}

uint32_t patch_table_place(uint32_t number)
{
    const uint32_t trapping_blocks = 2 * sizeof(trapping);
    const uint32_t block = number / PATCH_TABLE_BLOCK;
    const uint32_t other = block - trapping_blocks;
    const uint32_t others = PATCH_TABLE_BLOCKS / 2 - sizeof(trapping);
    uint32_t place;

    if (block < trapping_blocks)
        place = block / sizeof(trapping) * (PATCH_TABLE_BLOCKS / 2) + trapping[block % sizeof(trapping)];
    else
        place = other / others * (PATCH_TABLE_BLOCKS / 2) + other_byte(other % others);
    return place * PATCH_TABLE_BLOCK + number % PATCH_TABLE_BLOCK;
}

enum patch_refusal patch_plan_after(const struct patch_request *request, const struct patch_window *window,
                                    bool accesses_allowed, struct patch_plan *plan)
{
    const uint64_t addr = request->ip - X86_SYSCALL_LENGTH;
    uint8_t length = X86_SYSCALL_LENGTH;
    uint8_t boundaries = 0;
    struct patch_instruction d;

    patch_put_jump(plan->replacement, true, request->table_entry);
    while (length < PATCH_JUMP_LENGTH) {
        const enum patch_refusal refusal = patch_neighbour_decode(window, addr + length, accesses_allowed, &d);
        if (refusal != PATCH_OK)
            return refusal;
        if (!byte_traps(plan->replacement[length]))
            return PATCH_REFUSED_NO_ROOM;
        boundaries |= (uint8_t)(1u << length);
        length += d.instruction.length;
    }
    plan->site.pattern = PATCH_AFTER;
    plan->site.start = addr;
    plan->site.length = length;
    plan->site.after_length = length - X86_SYSCALL_LENGTH;
    plan->site.boundaries = boundaries;
    return PATCH_OK;
}
