/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the planner is asked with: requests that are wrong, code of which little is known, any place in a page. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/patching/patch_after.h"
#include "patch_site_checks.h"
#include "patch_site_run.h"
#include "patch_site_tests.h"

static void refused_requests(void **state)
{
    (void)state;
    const struct code code = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct patch_request good = request_for(&code, NR);
    struct patch_request bad[9];
    struct patch_plan plan;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        bad[i] = good;
    bad[0].table_entry = PATCH_TABLE_START - 8;
    bad[1].table_entry = PATCH_TABLE_END;
    bad[2].table_entry += 4;
    bad[3].trampoline += 4;
    bad[4].ip = 1;
    bad[5].ip = UINT64_MAX;
    bad[6].ip = 0x7fffffffffff;
    bad[7].code_addr = UINT64_MAX - 4;
    bad[8].code_length = SIZE_MAX;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        memset(&plan, 0x5a, sizeof(plan));
        assert_int_equal(patch_plan_make(&bad[i], &plan), PATCH_REFUSED_OTHER);
        assert_int_equal(plan.site.pattern, PATCH_NONE);
    }
    assert_int_equal(patch_plan_make(&good, &plan), PATCH_OK);
}

static void nothing_to_patch(void **state)
{
    (void)state;
    struct code code = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct code restorer = make_code(BYTES(0x48, 0xc7, 0xc0, 15, 0, 0, 0), BYTES(CMP_RAX));
    struct patch_plan plan = accepted(&code, NR, PATCH_AFTER);
    assert_int_equal(plan_of(&restorer, 15).refusal, PATCH_REFUSED_SIGNAL_RETURN);
    assert_int_equal(plan_of(&restorer, 0x40000201).refusal, PATCH_REFUSED_SIGNAL_RETURN);
    /* Once more, after it was patched. */
    memcpy(code.bytes + (SITE - code.addr), plan.replacement, plan.site.length);
    assert_int_equal(plan_of(&code, NR).refusal, PATCH_REFUSED_NO_SYSCALL);
    memcpy(code.bytes + (SITE - code.addr), "\xcd\x80", 2);
    assert_int_equal(plan_of(&code, NR).refusal, PATCH_REFUSED_NO_SYSCALL);
}

/* Plans with exactly the bytes [from, to) of the code, in memory that ends there. */
static enum patch_refusal plan_part(const struct code *code, size_t from, size_t to, struct patch_plan *plan)
{
    struct patch_request request = request_for(code, NR);
    uint8_t *part = malloc(to > from ? to - from : 1);
    enum patch_refusal refusal;
    assert_non_null(part);
    memcpy(part, code->bytes + from, to - from);
    request.code = part;
    request.code_addr = code->addr + from;
    request.code_length = to - from;
    refusal = patch_plan_make(&request, plan);
    if (refusal == PATCH_OK)
        check_trampoline(plan, &request);
    free(part);
    return refusal;
}

static void windows_cut_short(void **state)
{
    (void)state;
    const struct code before = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct code after = make_code(NO_BYTES, BYTES(CMP_RAX));
    const struct code both = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct code longest = make_code(BYTES(0x48, 0xb8, NR, 0, 0, 0, 0, 0, 0, 0), BYTES(RET));
    /* 4 bytes, and then a nop of 15. */
    const struct code late = make_code(NO_BYTES, BYTES(0x48, 0x83, 0xf8, 0xff, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                                       0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0x1f, 0xc0));
    const size_t at = SITE - before.addr;
    struct patch_plan plan;
    for (size_t from = 0; from <= before.length; from++) {
        for (size_t to = from; to <= before.length; to++) {
            const bool known = from <= at - 5 - 14 && to >= at + 2;
            assert_int_equal(plan_part(&before, from, to, &plan), known ? PATCH_OK : PATCH_REFUSED_UNREADABLE);
        }
    }
    for (size_t from = 0; from <= after.length; from++) {
        for (size_t to = from; to <= after.length; to++) {
            const bool known = from <= MARGIN && to >= MARGIN + 8;
            assert_int_equal(plan_part(&after, from, to, &plan), known ? PATCH_OK : PATCH_REFUSED_UNREADABLE);
        }
    }
    /* What the header says is the most that is needed. */
    assert_int_equal(plan_part(&longest, at + 5 - PATCH_WINDOW_BEFORE, at + 5 + 2, &plan), PATCH_OK);
    assert_int_equal(plan_part(&longest, at + 6 - PATCH_WINDOW_BEFORE, at + 5 + 2, &plan), PATCH_REFUSED_UNREADABLE);
    plan_part(&late, MARGIN, MARGIN + PATCH_WINDOW_AFTER, &plan);
    assert_int_equal(plan.refusal_after, PATCH_REFUSED_NO_ROOM);
    plan_part(&late, MARGIN, MARGIN + PATCH_WINDOW_AFTER - 1, &plan);
    assert_int_equal(plan.refusal_after, PATCH_REFUSED_UNREADABLE);
    for (size_t to = at; to <= both.length; to++) {
        const enum patch_pattern pattern = to >= at + 8   ? PATCH_AFTER
                                           : to >= at + 2 ? PATCH_BEFORE_MOV_EAX
                                                          : PATCH_NONE;
        plan_part(&both, 0, to, &plan);
        assert_int_equal(plan.site.pattern, pattern);
    }
}

/* Each place in a page, and at its end in two: whether both may be changed is for others to know. */
static void page_edges(void **state)
{
    (void)state;
    const struct code before = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct code after = make_code(NO_BYTES, BYTES(CMP_RAX));
    for (unsigned int place = 0; place < PAGE; place++) {
        struct patch_request request = request_for(&before, NR);
        struct patch_plan plan;
        request.code_addr += 0x402000 + place - (SITE - 5);
        request.ip += 0x402000 + place - (SITE - 5);
        assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
        request = request_for(&after, NR);
        request.code_addr += 0x402000 + place - SITE;
        request.ip += 0x402000 + place - SITE;
        assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
    }
}

#define NUMBERS (PATCH_TABLE_BLOCK * PATCH_TABLE_BLOCKS)

/* Each number has a place of its own, and the first ones have addresses whose second byte traps. */
static void table_places(void **state)
{
    static bool taken[NUMBERS];
    struct code code = make_code(BYTES(MOV_EAX), BYTES(0x31, 0xd2, 0x48, 0x8d, 0x74, 0x24, 0x0c));
    struct patch_request request = request_for(&code, NO_NR);
    unsigned int fitting = 0;
    (void)state;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        const uint32_t place = patch_table_place(i);
        struct patch_plan plan;
        assert_true(place < NUMBERS && !taken[place]);
        taken[place] = true;
        request.table_entry = PATCH_TABLE_START + place * sizeof(uint64_t);
        fitting += patch_plan_make(&request, &plan) == PATCH_OK;
        assert_true(fitting == i + 1 || i >= 1024);
    }
}

int test_patch_requests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_places),      cmocka_unit_test(refused_requests), cmocka_unit_test(nothing_to_patch),
        cmocka_unit_test(windows_cut_short), cmocka_unit_test(page_edges),
    };

    return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
