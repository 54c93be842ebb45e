/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Each kind of plan, byte by byte: a call with what is behind it, and with the mov before it. */
#include "unit.h"

#include <stdbool.h>

#include "patch_site_checks.h"
#include "patch_site_run.h"
#include "patch_site_tests.h"

static void after_a_syscall(void **state)
{
    (void)state;
    static const uint8_t jump[] = {0xff, 0x24, 0xe5, 0x38, 0x12, 0x06, 0x00, 0xcc};
    static const uint8_t frame[] = {
        0x48,    0x8d, 0x0d, 0x19, 0,    0,    0,    /* lea 0x20(start),%rcx */
        0xff,    0x25, 0x03, 0,    0,    0,          /* jmp *0x10(start) */
        0xcc,    0xcc, 0xcc,                         /* */
        0x40,    0x00, 0x56, 0x34, 0x12, 0x7f, 0, 0, /* entry */
        0x02,    0x11, 0x40, 0x00, 0,    0,    0, 0, /* behind the syscall */
        CMP_RAX,                                     /* after */
        0xff,    0x25, 0x04, 0,    0,    0,          /* jmp *0x30(start) */
        0xcc,    0xcc, 0xcc, 0xcc,                   /* */
        0x08,    0x11, 0x40, 0x00, 0,    0,    0, 0, /* behind the comparison */
    };
    const struct code code = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct patch_plan plan = accepted(&code, NR, PATCH_AFTER);
    assert_int_equal(plan.site.start, SITE);
    assert_int_equal(plan.site.length, sizeof(jump));
    assert_memory_equal(plan.replacement, jump, sizeof(jump));
    assert_int_equal(plan.trampoline_length, sizeof(frame));
    assert_memory_equal(plan.trampoline, frame, sizeof(frame));
    assert_int_equal(patch_redirect(&plan.site, SITE + 2).addr, TRAMPOLINE + 0x20);
    for (size_t i = 0; i < 0x20; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE);
    for (size_t i = 0x20; i < 0x26; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE + 2);
    assert_int_equal(patch_original_ip(&plan.site, 0x26), SITE + 8);
    for (int i = -300; i < 300; i++)
        assert_int_equal(patch_redirect(&plan.site, SITE + (uint64_t)i).kind,
                         i == 2 ? PATCH_CONTINUE_AT : PATCH_NOT_OURS);
    assert_true(under_valgrind() || trap_at(plan.replacement, plan.site.length, 2) == SIGSEGV);
    /* The number is of no interest here. */
    accepted(&code, NO_NR, PATCH_AFTER);
}

static void mov_to_eax(void **state)
{
    (void)state;
    static const uint8_t jump[] = {0xff, 0x24, 0x25, 0x38, 0x12, 0x06, 0x00};
    const struct code code = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct patch_plan plan = accepted(&code, NR, PATCH_BEFORE_MOV_EAX);
    assert_int_equal(plan.site.start, SITE - 5);
    assert_int_equal(plan.site.length, sizeof(jump));
    assert_memory_equal(plan.replacement, jump, sizeof(jump));
    assert_true(under_valgrind() || trap_at(plan.replacement, plan.site.length, 5) == SIGILL);
    assert_int_equal(plan.site.before_length, 5);
    assert_int_equal(plan.site.after_offset, 0x28);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE - 5);
    for (size_t i = 5; i < 0x28; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE);
    assert_int_equal(patch_original_ip(&plan.site, 0x28), SITE + 2);
    for (int i = -300; i < 300; i++)
        assert_int_equal(patch_redirect(&plan.site, SITE - 5 + (uint64_t)i).kind,
                         i == 5 ? PATCH_SYSCALL : PATCH_NOT_OURS);
    assert_int_equal(patch_return_ip(&plan.site), SITE + 2);
}

/* Long enough for the jump alone: the syscall stays, so that arriving there is an ordinary call. */
static void longer_movs(void **state)
{
    (void)state;
    const struct code rax = make_code(BYTES(MOV_RAX), BYTES(RET));
    const struct code negative = make_code(BYTES(0x48, 0xc7, 0xc0, 0xfe, 0xff, 0xff, 0xff), BYTES(RET));
    const struct code movabs = make_code(BYTES(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8), BYTES(RET));
    struct patch_plan plan = accepted(&rax, NR, PATCH_BEFORE_OTHER);
    assert_int_equal(plan.site.start, SITE - 7);
    assert_int_equal(plan.site.length, 7);
    assert_int_equal(patch_redirect(&plan.site, SITE).kind, PATCH_NOT_OURS);
    assert_int_equal(patch_original_ip(&plan.site, 7), SITE);
    assert_int_equal(patch_original_ip(&plan.site, plan.site.after_offset), SITE + 2);
    plan = accepted(&negative, (uint64_t)-2, PATCH_BEFORE_OTHER);
    assert_int_equal(plan.site.start, SITE - 7);
    plan = accepted(&movabs, 0x0807060504030201, PATCH_BEFORE_OTHER);
    assert_int_equal(plan.site.start, SITE - 10);
    assert_int_equal(plan.site.length, 10);
}

/* The number that was seen must be what the instruction sets, in all 64 bits. */
static void other_numbers(void **state)
{
    (void)state;
    const struct code eax = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct code rax = make_code(BYTES(MOV_RAX), BYTES(RET));
    const struct code minus = make_code(BYTES(0xb8, 0xff, 0xff, 0xff, 0xff), BYTES(RET));
    assert_int_equal(plan_of(&eax, NR + 1).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&eax, NR + (1ull << 32)).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&rax, NR + (1ull << 32)).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&rax, NR | (1ull << 63)).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&minus, NO_NR).refusal_before, PATCH_REFUSED_NO_MOV);
    accepted(&minus, 0xffffffff, PATCH_BEFORE_MOV_EAX);
}

/* Several short instructions: each must start at a byte of the jump that traps. */
static void several_behind(void **state)
{
    (void)state;
    /* mov %rax,%rbp; test %eax,%eax: the second is met by 06 or 07. */
    const struct code at_5 = make_code(NO_BYTES, BYTES(0x48, 0x89, 0xc5, 0x85, 0xc0));
    const struct code at_4 = make_code(NO_BYTES, BYTES(0x89, 0xc2, 0x48, 0xf7, 0xda));
    const struct code at_6 = make_code(NO_BYTES, BYTES(0x48, 0x83, 0xf8, 0xff, 0x89, 0xc2, 0x90));
    struct patch_request request = request_for(&at_4, NO_NR);
    struct patch_plan plan = accepted(&at_5, NO_NR, PATCH_AFTER);
    assert_int_equal(plan.site.length, 7);
    assert_int_equal(plan.site.boundaries, 1 << 2 | 1 << 5);
    assert_int_equal(patch_redirect(&plan.site, SITE + 5).addr, TRAMPOLINE + 0x23);
    assert_int_equal(patch_original_ip(&plan.site, 0x22), SITE + 2);
    assert_int_equal(patch_original_ip(&plan.site, 0x23), SITE + 5);
    assert_int_equal(patch_original_ip(&plan.site, 0x24), SITE + 5);
    assert_int_equal(patch_original_ip(&plan.site, 0x25), SITE + 7);
    assert_int_equal(plan_of(&at_6, NO_NR).refusal, PATCH_REFUSED_NO_ROOM);
    /* The fifth byte is the second of the table entry's address. */
    request.table_entry = 0x00061238;
    assert_int_equal(patch_plan_make(&request, &plan), PATCH_REFUSED_NO_ROOM);
    request.table_entry = 0x00060638;
    assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
    assert_int_equal(plan.site.boundaries, 1 << 2 | 1 << 4);
    check_plan(&plan, &request);
}

/* For any value of the two free bytes: what is taken for a trap is one, whatever follows. */
static void every_trap_byte(void **state)
{
    (void)state;
    const struct code at_4 = make_code(NO_BYTES, BYTES(0x89, 0xc2, 0x48, 0x3d, 1, 2, 3, 4));
    const struct code at_3 = make_code(NO_BYTES, BYTES(0x90, 0x48, 0x3d, 1, 2, 3, 4));
    unsigned int found = 0;
    for (uint32_t entry = PATCH_TABLE_START; entry < PATCH_TABLE_END; entry += 0x100) {
        struct patch_request request = request_for(&at_4, NO_NR);
        struct patch_plan plan;
        request.table_entry = entry | (entry >> 8 & 0xf8);
        if (patch_plan_make(&request, &plan) == PATCH_OK) {
            found++;
            check_plan(&plan, &request);
        }
        request = request_for(&at_3, NO_NR);
        request.table_entry = entry | (entry >> 8 & 0xf8);
        if (patch_plan_make(&request, &plan) == PATCH_OK)
            check_plan(&plan, &request);
    }
    assert_int_equal(found, 2 * 23);
}

int test_patch_patterns(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_syscall), cmocka_unit_test(mov_to_eax),     cmocka_unit_test(longer_movs),
        cmocka_unit_test(other_numbers),   cmocka_unit_test(several_behind), cmocka_unit_test(every_trap_byte),
    };

    return cmocka_run_group_tests_name("patterns", tests, NULL, NULL);
}
