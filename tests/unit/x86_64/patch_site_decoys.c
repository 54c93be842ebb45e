/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes before a call that look like a mov: are they one, or the end of another instruction? */
#include "unit.h"

#include "patch_site_checks.h"
#include "patch_site_names.h"
#include "patch_site_tests.h"

struct decoy_case {
    const char *what;
    enum patch_refusal refusal;
    uint8_t length;
    uint8_t bytes[20];
};

/* All end with b8 27 00 00 00, right before the syscall. */
static const struct decoy_case decoys[] = {
    {"nop", PATCH_OK, 6, {0x90, MOV_EAX}},
    {"mov %r10,%rcx; nop", PATCH_OK, 9, {0x4c, 0x89, 0xd1, 0x90, MOV_EAX}},
    {"endbr64", PATCH_OK, 9, {0xf3, 0x0f, 0x1e, 0xfa, MOV_EAX}},
    {"xor %edi,%edi", PATCH_OK, 7, {0x31, 0xff, MOV_EAX}},
    {"jmp rel8 over it", PATCH_OK, 7, {0xeb, 0x05, MOV_EAX}},
    {"mov $39,%r8d", PATCH_REFUSED_DECOY, 6, {0x41, MOV_EAX}},
    {"mov $39,%eax with a prefix", PATCH_REFUSED_DECOY, 6, {0x2e, MOV_EAX}},
    {"mov $39,%eax with a rex prefix", PATCH_REFUSED_DECOY, 6, {0x40, MOV_EAX}},
    {"lea 39(%rax),%edi", PATCH_REFUSED_DECOY, 6, {0x8d, MOV_EAX}},
    {"mov 39(%r8),%edi", PATCH_REFUSED_DECOY, 7, {0x41, 0x8b, MOV_EAX}},
    {"mov %fs:39(%rax),%edi", PATCH_REFUSED_DECOY, 7, {0x64, 0x8b, MOV_EAX}},
    {"idivl 39(%rax) sets rax", PATCH_REFUSED_DECOY, 6, {0xf7, MOV_EAX}},
    {"mov 39(%rax),%edi faults", PATCH_OK, 6, {0x8b, MOV_EAX}},
    {"add %bh,39(%rax) faults", PATCH_OK, 11, {0x41, 0xba, 8, 0, 0, 0, MOV_EAX}},
    {"sarl 39(%rax) faults", PATCH_OK, 7, {0x31, 0xd2, MOV_EAX}},
    {"fistpll 39(%rax) faults", PATCH_OK, 8, {0x48, 0x89, 0xdf, MOV_EAX}},
    {"movl $39,-0x48(%rbp)", PATCH_REFUSED_DECOY, 7, {0xc7, 0x45, MOV_EAX}},
    {"movq $39,-0x48(%rsp)", PATCH_REFUSED_DECOY, 9, {0x48, 0xc7, 0x44, 0x24, MOV_EAX}},
    {"cmpl $39,0xb8001122(%rip)", PATCH_REFUSED_DECOY, 10, {0x81, 0x3d, 0x22, 0x11, 0x00, MOV_EAX}},
    {"movl $39,%fs:0xb8001122", PATCH_REFUSED_DECOY, 12, {0x64, 0xc7, 0x04, 0x25, 0x22, 0x11, 0x00, MOV_EAX}},
    {"bswap", PATCH_OK, 7, {0x0f, 0xc8, MOV_EAX}},
    {"jmpe rel32", PATCH_OK, 6, {0x0f, MOV_EAX}}, /* 0f b8 without f3 is no instruction of these processors */
    {"popcnt %ecx,%ecx", PATCH_OK, 9, {0xf3, 0x0f, 0xb8, 0xc9, MOV_EAX}},
    {"nopl 39(%rax) accesses nothing", PATCH_REFUSED_DECOY, 7, {0x0f, 0x1f, MOV_EAX}},
    {"prefetch 39(%rax) never faults", PATCH_REFUSED_DECOY, 7, {0x0f, 0x18, MOV_EAX}},
    {"movabs $imm64,%rcx", PATCH_REFUSED_DECOY, 10, {0x48, 0xb9, 0x11, 0x22, 0x33, MOV_EAX}},
    {"movabs $imm64,%rax", PATCH_REFUSED_DECOY, 10, {0x48, 0xb8, 0x11, 0x22, 0x33, MOV_EAX}},
    {"movabs %eax,moffs", PATCH_REFUSED_DECOY, 9, {0xa3, 0x11, 0x22, 0x33, MOV_EAX}},
    {"lea with many prefixes", PATCH_REFUSED_DECOY, 12, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x8d, MOV_EAX}},
    {"15 bytes", PATCH_REFUSED_DECOY, 15, {0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x8b, MOV_EAX}},
};

static void decoys_before(void **state)
{
    (void)state;
    unsigned int wrong = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(decoys); i++) {
        const struct decoy_case *test = &decoys[i];
        const struct code code = make_code(test->bytes, test->length, BYTES(RET));
        const struct patch_plan plan = plan_of(&code, NR);
        if (plan.refusal != test->refusal) {
            print_message("%s: %s\n", test->what, refusal_name(plan.refusal));
            wrong++;
        } else if (plan.refusal == PATCH_OK) {
            accepted(&code, NR, PATCH_BEFORE_MOV_EAX);
        }
    }
    assert_int_equal(wrong, 0);
}

/* The first byte belongs to an instruction, and others lead from there to the syscall. */
static void decoys_of_several_instructions(void **state)
{
    (void)state;
    /* mov $0xb8,%bl and four nops; the second to last a jump; the last a return. */
    const struct code nops = make_code(BYTES(0xb3, 0xb8, 0x90, 0x90, 0x90, 0x90), BYTES(RET));
    const struct code jump = make_code(BYTES(0xb3, 0xb8, 0, 0, 0xeb, 0x10), BYTES(RET));
    const struct code ret = make_code(BYTES(0xb3, 0xb8, 0, 0, 0x90, 0xc3), BYTES(RET));
    /* add %eax,(%rax) would have faulted; 27 is no instruction; no guest has ports. */
    const struct code access = make_code(BYTES(0xb3, 0xb8, 1, 0, 0, 0), BYTES(RET));
    const struct code broken = make_code(BYTES(0xb3, 0xb8, 0x27, 0, 0, 0), BYTES(RET));
    const struct code port = make_code(BYTES(0xe6, 0xb8, 0x90, 0x90, 0x90, 0x90), BYTES(RET));
    /* A mov to eax, before which there is `add $0x48,%ebx`: not one to rax. */
    const struct code rax = make_code(BYTES(0x83, 0xc3, MOV_RAX), BYTES(RET));
    assert_int_equal(plan_of(&nops, 0x90909090).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&jump, 0x10eb0000).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&ret, 0xc3900000).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&rax, NR).refusal, PATCH_REFUSED_DECOY);
    accepted(&access, 1, PATCH_BEFORE_MOV_EAX);
    accepted(&broken, 0x27, PATCH_BEFORE_MOV_EAX);
    accepted(&port, 0x90909090, PATCH_BEFORE_MOV_EAX);
}

/* A fault says something of the number in rax only if rax stays what it was, and the next instruction is the next. */
static void faults_that_prove_nothing(void **state)
{
    (void)state;
    /* mov -nr(%rax),%ecx; two bytes; then cmp $0x47,%al, mov $0x47,%al, jmp . + 0x49 */
    const struct code compare =
        make_code(BYTES(0x8b, 0x88, 0x70, 0x6f, 0xc3, 0xb8, 0x90, 0x90, 0x3c, 0x47), BYTES(RET));
    const struct code change = make_code(BYTES(0x8b, 0x88, 0x70, 0x6f, 0x4f, 0xb8, 0x90, 0x90, 0xb0, 0x47), BYTES(RET));
    const struct code jump = make_code(BYTES(0x8b, 0x88, 0, 0, 0x15, 0xb8, 0, 0, 0xeb, 0x47), BYTES(RET));
    accepted(&compare, 0x473c9090, PATCH_BEFORE_MOV_EAX);
    assert_int_equal(plan_of(&change, 0x47b09090).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&jump, 0x47eb0000).refusal, PATCH_REFUSED_DECOY);
}

/* Only an access to the first page is known to fault. */
static void accesses_that_could_succeed(void **state)
{
    (void)state;
    const struct code below = make_code(BYTES(0x8b, 0xb8, 0xff, 0x07, 0, 0), BYTES(RET));
    const struct code at = make_code(BYTES(0x8b, 0xb8, 0x00, 0x08, 0, 0), BYTES(RET));
    accepted(&below, 0x7ff, PATCH_BEFORE_MOV_EAX);
    assert_int_equal(plan_of(&at, 0x800).refusal, PATCH_REFUSED_DECOY);
}

int test_patch_decoys(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoys_before),
        cmocka_unit_test(decoys_of_several_instructions),
        cmocka_unit_test(faults_that_prove_nothing),
        cmocka_unit_test(accesses_that_could_succeed),
    };

    return cmocka_run_group_tests_name("decoys", tests, NULL, NULL);
}
