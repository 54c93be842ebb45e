/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which calls may be patched for whoever runs the code: no guest's word counts, only the bytes. */
#include "unit.h"

#include <string.h>

#include "arch/x86_64/patching/patch_proof.h"
#include "patch_site_checks.h"
#include "patch_site_tests.h"

#define BEFORE 96

struct proof_case {
    const char *what;
    uint32_t starts; /* how far before the ip a patch may begin */
    uint8_t length;
    uint8_t bytes[20]; /* before the call */
};

#define CALL_ITSELF (1u << 2)
#define MOV_OF(n)   (1u << (2 + (n)))

static const struct proof_case proofs[] = {
    {"nops", CALL_ITSELF | MOV_OF(5) | MOV_OF(7) | MOV_OF(10), 1, {0x90}},
    {"mov to eax", CALL_ITSELF | MOV_OF(5) | MOV_OF(7) | MOV_OF(10), 5, {MOV_EAX}},
    {"mov to rax", CALL_ITSELF | MOV_OF(7) | MOV_OF(10), 7, {MOV_RAX}},
    {"inside of a mov", 0, 1, {0xb8}},
    {"inside of a movabs", 0, 2, {0x48, 0xbf}},
    {"inside of a comparison", 0, 3, {0x48, 0x81, 0xf9}},
    {"at the end of a displacement", 0, 5, {0x8b, 0x04, 0x25, 0x00, 0x00}},
    {"an instruction of 15 bytes", 0, 12, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x8d, 0x04, 0x25}},
    {"a mov that belongs to another instruction", CALL_ITSELF | MOV_OF(7) | MOV_OF(10), 7, {0xc7, 0x45, MOV_EAX}},
    {"a signal's return", 0, 5, {0xb8, 15, 0, 0, 0}},
    {"a signal's return by rax", 0, 7, {0x48, 0xc7, 0xc0, 15, 0, 0, 0}},
    {"a signal's return of x32", 0, 5, {0xb8, 0x01, 0x02, 0, 0x40}},
};

static uint32_t starts_of(const uint8_t *before, size_t length, size_t missing)
{
    uint8_t code[BEFORE + 32];
    struct patch_window window;

    memset(code, FILLER, sizeof(code));
    memcpy(code + BEFORE - length, before, length);
    memcpy(code + BEFORE, "\x0f\x05", 2);
    assert_true(patch_window_open(&window, code + missing, SITE - BEFORE + missing, sizeof(code) - missing));
    return patch_proof_starts(&window, SITE + 2);
}

static void proven_by_bytes(void **state)
{
    unsigned int wrong = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(proofs); i++) {
        const uint32_t starts = starts_of(proofs[i].bytes, proofs[i].length, 0);

        if (starts != proofs[i].starts) {
            print_message("%s: %x\n", proofs[i].what, starts);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* What cannot be seen could be anything. */
static void nothing_without_bytes(void **state)
{
    (void)state;
    assert_int_not_equal(starts_of(NO_BYTES, BEFORE - PATCH_PROOF_BEFORE - PATCH_PROOF_MOV), 0);
    assert_int_equal(starts_of(NO_BYTES, BEFORE - PATCH_PROOF_BEFORE - PATCH_PROOF_MOV + 1), 0);
    assert_int_equal(starts_of(NO_BYTES, BEFORE), 0);
}

int test_patch_proofs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proven_by_bytes),
        cmocka_unit_test(nothing_without_bytes),
    };

    return cmocka_run_group_tests_name("proofs", tests, NULL, NULL);
}
