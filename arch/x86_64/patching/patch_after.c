/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_after.h"

#include "patch_bytes.h"
#include "patch_neighbour.h"
#include "x86_64.h"

/*
 * First bytes of instructions that trap whatever follows them: invalid in
 * 64-bit mode, or an access to ports, or hlt. Those that newer processors gave
 * a meaning (62, c4, c5, d5, d6) are not here, nor those that merely could get one.
 */
static bool byte_traps(uint8_t byte)
{
    switch (byte) {
    case 0x06: /* push and pop of segment registers */
    case 0x07:
    case 0x0e:
    case 0x16:
    case 0x17:
    case 0x1e:
    case 0x1f:
    case 0x27: /* decimal adjustments */
    case 0x2f:
    case 0x37:
    case 0x3f:
    case 0x60: /* pusha, popa */
    case 0x61:
    case 0xce: /* into */
    case 0xe4: /* in, out: a guest has no port */
    case 0xe5:
    case 0xe6:
    case 0xe7:
    case 0xec:
    case 0xed:
    case 0xee:
    case 0xef:
    case 0xf4: /* hlt */
        return true;
    default:
        return false;
    }
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
