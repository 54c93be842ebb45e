/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_bytes.h"

#include <string.h>

#include "x86_64.h"

#define TRAP_FILL 0xcc

/* The displacement of a `disp32(%rip)` counts from the end of its instruction. */
#define LEA_RCX_LENGTH      7
#define JMP_POINTER_LENGTH  6
#define POINTER_LENGTH      8
#define DISPLACEMENT_LENGTH 4

static void put_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

void patch_put_le64(uint8_t *to, uint64_t value)
{
    put_le32(to, (uint32_t)value);
    put_le32(to + 4, (uint32_t)(value >> 32));
}

/*
 * jmp *disp32, without base and index. Two encodings do the same: the scale is
 * ignored where there is no index. With e5 the third byte is `in`.
 */
void patch_put_jump(uint8_t replacement[PATCH_SITE_MAX], bool after, uint64_t table_entry)
{
    memset(replacement, TRAP_FILL, PATCH_SITE_MAX);
    replacement[0] = 0xff;
    replacement[1] = 0x24;
    replacement[2] = after ? 0xe5 : 0x25;
    put_le32(replacement + 3, (uint32_t)table_entry);
}

static uint8_t *put_rip_relative(uint8_t *at, const uint8_t *opcode, size_t length, const uint8_t *target)
{
    memcpy(at, opcode, length);
    at += length;
    put_le32(at, (uint32_t)(target - (at + DISPLACEMENT_LENGTH)));
    return at + DISPLACEMENT_LENGTH;
}

static size_t align_pointer(size_t offset)
{
    return (offset + POINTER_LENGTH - 1) & ~(size_t)(POINTER_LENGTH - 1);
}

void patch_put_trampoline(const struct patch_request *request, struct patch_plan *plan)
{
    static const uint8_t lea_rcx[] = {0x48, 0x8d, 0x0d};
    static const uint8_t jmp_pointer[] = {0xff, 0x25};
    struct patch_site *site = &plan->site;
    uint8_t *const start = plan->trampoline;
    const size_t entry = align_pointer(site->before_length + LEA_RCX_LENGTH + JMP_POINTER_LENGTH);
    const size_t after = entry + (size_t)2 * POINTER_LENGTH;
    const size_t back = align_pointer(after + site->after_length + JMP_POINTER_LENGTH);
    uint8_t *at = start;

    site->trampoline = request->trampoline;
    site->after_offset = (uint8_t)after;
    plan->trampoline_length = back + POINTER_LENGTH;

    memset(start, TRAP_FILL, sizeof(plan->trampoline));
    memcpy(at, plan->original, site->before_length);
    at = put_rip_relative(at + site->before_length, lea_rcx, sizeof(lea_rcx), start + after);
    put_rip_relative(at, jmp_pointer, sizeof(jmp_pointer), start + entry);
    patch_put_le64(start + entry, request->entry);
    patch_put_le64(start + after - POINTER_LENGTH, request->ip);

    memcpy(start + after, plan->original + X86_SYSCALL_LENGTH, site->after_length);
    put_rip_relative(start + after + site->after_length, jmp_pointer, sizeof(jmp_pointer), start + back);
    patch_put_le64(start + back, patch_return_ip(site) + site->after_length);
}
