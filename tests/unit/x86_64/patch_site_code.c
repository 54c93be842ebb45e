/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_site_code.h"

#include "unit.h"

#include <string.h>

struct code make_code(const uint8_t *before, size_t before_length, const uint8_t *after, size_t after_length)
{
    struct code code;
    const size_t at = MARGIN + before_length;
    memset(code.bytes, FILLER, sizeof(code.bytes));
    memcpy(code.bytes + MARGIN, before, before_length);
    memcpy(code.bytes + at, "\x0f\x05", 2);
    memcpy(code.bytes + at + 2, after, after_length);
    code.length = at + 2 + after_length + MARGIN;
    code.addr = SITE - at;
    return code;
}

struct patch_request request_for(const struct code *code, uint64_t nr)
{
    return (struct patch_request){
        .ip = SITE + 2,
        .nr = nr,
        .code = code->bytes,
        .code_addr = code->addr,
        .code_length = code->length,
        .table_entry = TABLE_ENTRY,
        .trampoline = TRAMPOLINE,
        .entry = ENTRY,
    };
}

struct patch_plan plan_of(const struct code *code, uint64_t nr)
{
    const struct patch_request request = request_for(code, nr);
    struct patch_plan plan;
    patch_plan_make(&request, &plan);
    /* Why what is behind the call does not do says more. */
    assert_int_not_equal(plan.refusal, PATCH_REFUSED_NO_MOV);
    return plan;
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

uint32_t random_below(uint32_t limit)
{
    return (uint32_t)(next_random() >> 32) % limit;
}
