/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What is behind a call: every kind of instruction, and random bytes. */
#include "unit.h"

#include <string.h>

#include "patch_site_checks.h"
#include "patch_site_names.h"
#include "patch_site_run.h"
#include "patch_site_tests.h"

struct neighbour_case {
    const char *what;
    enum patch_refusal refusal;
    uint8_t bytes[16];
};

static const struct neighbour_case neighbours[] = {
    {"cmp $-4095,%rax", PATCH_OK, {CMP_RAX}},
    {"cmp $imm32,%eax", PATCH_OK, {0x3d, 0, 0xf0, 0xff, 0xff}},
    {"mov $imm32,%ecx", PATCH_OK, {0xb9, 1, 2, 3, 4}},
    {"mov $imm64,%r11", PATCH_OK, {0x49, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8}},
    {"lea 0x100(%rsp,%rax),%rdi", PATCH_OK, {0x48, 0x8d, 0xbc, 0x04, 0, 1, 0, 0}},
    {"nopl 0x0(%rax)", PATCH_OK, {0x0f, 0x1f, 0x80, 0, 0, 0, 0}},
    {"nopw %cs:0x0(%rax,%rax)", PATCH_OK, {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}},
    {"ret", PATCH_REFUSED_RELATIVE, {RET}},
    {"jmp rel32", PATCH_REFUSED_RELATIVE, {0xe9, 1, 2, 3, 4}},
    {"jae rel32", PATCH_REFUSED_RELATIVE, {0x0f, 0x83, 1, 2, 3, 4}},
    {"call rel32", PATCH_REFUSED_RELATIVE, {0xe8, 1, 2, 3, 4}},
    {"call *0x100(%rax)", PATCH_REFUSED_RELATIVE, {0xff, 0x90, 0, 1, 0, 0}},
    {"xbegin", PATCH_REFUSED_RELATIVE, {0xc7, 0xf8, 1, 2, 3, 4}},
    {"int3", PATCH_REFUSED_RELATIVE, {0xcc}},
    {"int $0x80", PATCH_REFUSED_RELATIVE, {0xcd, 0x80}},
    {"syscall", PATCH_REFUSED_RELATIVE, {0x0f, 0x05}},
    {"sysenter", PATCH_REFUSED_RELATIVE, {0x0f, 0x34}},
    {"lea 0x100(%rip),%rax", PATCH_REFUSED_RELATIVE, {0x48, 0x8d, 0x05, 0, 1, 0, 0}},
    {"mov 0x100(%rip),%rax", PATCH_REFUSED_RELATIVE, {0x48, 0x8b, 0x05, 0, 1, 0, 0}},
    {"cmpl $0,0x100(%eip)", PATCH_REFUSED_RELATIVE, {0x67, 0x83, 0x3d, 0, 1, 0, 0, 0}},
    {"mov 0x100(%rsp),%rax", PATCH_OK, {0x48, 0x8b, 0x84, 0x24, 0, 1, 0, 0}},
    {"mov %eax,%fs:0x10", PATCH_OK, {0x64, 0x89, 0x04, 0x25, 0x10, 0, 0, 0}},
    {"testb $1,0x100(%rbx)", PATCH_OK, {0xf6, 0x83, 0, 1, 0, 0, 1}},
    {"mov %gs:0x10,%eax", PATCH_REFUSED_MEMORY, {0x65, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0}},
    {"mov 0x100(%rcx),%rax", PATCH_REFUSED_REGISTER, {0x48, 0x8b, 0x81, 0, 1, 0, 0}},
    {"mov %r11,0x100(%rax)", PATCH_REFUSED_REGISTER, {0x4c, 0x89, 0x98, 0, 1, 0, 0}},
    {"push $imm32", PATCH_REFUSED_REGISTER, {0x68, 1, 2, 3, 4}},
    {"add $imm32,%rsp", PATCH_REFUSED_REGISTER, {0x48, 0x81, 0xc4, 0, 1, 0, 0}},
    {"lea 0x100(%rax),%esp", PATCH_REFUSED_REGISTER, {0x8d, 0xa0, 0, 1, 0, 0}},
    {"cmp $imm32,%rcx", PATCH_REFUSED_REGISTER, {0x48, 0x81, 0xf9, 0, 1, 0, 0}},
    {"add $imm32,%r11", PATCH_REFUSED_REGISTER, {0x49, 0x81, 0xc3, 0, 1, 0, 0}},
    {"lea 0x100(%rcx),%rax", PATCH_REFUSED_REGISTER, {0x48, 0x8d, 0x81, 0, 1, 0, 0}},
    {"lea 0x100(,%r11,4),%rax", PATCH_REFUSED_REGISTER, {0x4a, 0x8d, 0x04, 0x9d, 0, 1, 0, 0}},
    {"mov $imm16,%cx", PATCH_REFUSED_REGISTER, {0x66, 0xb9, 1, 2, 0x90}},
    {"mov $imm8,%ch", PATCH_REFUSED_REGISTER, {0xb5, 1, CMP_RAX}},
    {"cmove %rax,%rcx", PATCH_REFUSED_REGISTER, {0x48, 0x0f, 0x44, 0xc8, CMP_RAX}},
    {"shl %cl,%eax", PATCH_REFUSED_REGISTER, {0xd3, 0xe0, CMP_RAX}},
    {"mov %eax,%ds", PATCH_REFUSED_UNLISTED, {0x8e, 0xd8, CMP_RAX}},
    {"mov %rax,%cr0", PATCH_REFUSED_UNLISTED, {0x0f, 0x22, 0xc0, CMP_RAX}},
    {"div %eax", PATCH_REFUSED_UNLISTED, {0xf7, 0xf0, CMP_RAX}},
    {"hlt", PATCH_REFUSED_UNLISTED, {0xf4, CMP_RAX}},
    {"ud2", PATCH_REFUSED_UNLISTED, {0x0f, 0x0b, CMP_RAX}},
    {"rdtsc", PATCH_REFUSED_UNLISTED, {0x0f, 0x31, CMP_RAX}},
    {"popf", PATCH_REFUSED_REGISTER, {0x9d, CMP_RAX}},
    {"invalid", PATCH_REFUSED_UNDECODABLE, {0x06, CMP_RAX}},
    {"endless",
     PATCH_REFUSED_UNDECODABLE,
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}},
};

static void neighbours_behind(void **state)
{
    (void)state;
    unsigned int wrong = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(neighbours); i++) {
        const struct neighbour_case *test = &neighbours[i];
        const struct code code = make_code(NO_BYTES, test->bytes, sizeof(test->bytes));
        const struct patch_plan plan = plan_of(&code, NO_NR);
        if (plan.refusal != test->refusal) {
            print_message("%s: %s\n", test->what, refusal_name(plan.refusal));
            wrong++;
        } else if (plan.refusal == PATCH_OK) {
            accepted(&code, NO_NR, PATCH_AFTER);
        }
        assert_int_equal(plan.site.pattern, test->refusal == PATCH_OK ? PATCH_AFTER : PATCH_NONE);
        assert_true(plan.refusal_before == PATCH_REFUSED_NO_MOV ||
                    (test->refusal == PATCH_OK && plan.refusal_before == PATCH_OK));
    }
    assert_int_equal(wrong, 0);
}

/* Bytes that make acceptance likely, among others. */
static void random_code(uint8_t *bytes, size_t length, uint64_t nr)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)next_random();
    if (random_below(2)) {
        const size_t behind = length / 2 + 2;
        const struct neighbour_case *test = &neighbours[random_below(ARRAY_LENGTH(neighbours))];
        memcpy(bytes + behind, test->bytes, 8);
    }
    if (random_below(2))
        memset(bytes + length / 2 - 20, FILLER, 15);
    if (random_below(4)) {
        bytes[length / 2 - 5] = 0xb8;
        for (int i = 0; i < 4; i++)
            bytes[length / 2 - 4 + i] = (uint8_t)(nr >> 8 * i);
    }
    memcpy(bytes + length / 2, "\x0f\x05", 2);
}

static void random_windows(void **state)
{
    (void)state;
    const unsigned int rounds = under_valgrind() ? 5000 : 100000;
    unsigned int count[PATCH_PATTERNS] = {0};
    uint8_t bytes[64];
    for (unsigned int i = 0; i < rounds; i++) {
        const uint64_t nr = random_below(2) ? random_below(450) : (uint32_t)next_random();
        struct patch_plan plan;
        struct patch_request request = {
            .nr = nr,
            .code = bytes,
            .code_addr = 0x400000 + random_below(1 << 20),
            .code_length = sizeof(bytes),
            .table_entry = PATCH_TABLE_START + 8ull * random_below(0x4000),
            .trampoline = TRAMPOLINE + 128ull * random_below(10000),
            .entry = next_random(),
        };
        request.ip = request.code_addr + sizeof(bytes) / 2 + 2;
        random_code(bytes, sizeof(bytes), nr);
        if (patch_plan_make(&request, &plan) == PATCH_OK)
            check_plan(&plan, &request);
        assert_int_equal(plan.refusal == PATCH_OK, plan.site.pattern != PATCH_NONE);
        count[plan.site.pattern]++;
    }
    assert_true(count[PATCH_NONE] > rounds / 20);
    assert_true(count[PATCH_AFTER] > rounds / 50);
    assert_true(count[PATCH_BEFORE_MOV_EAX] > rounds / 50);
}

int test_patch_neighbours(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_behind),
        cmocka_unit_test(random_windows),
    };

    return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
