/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Code that is made up: a system call, what is before and behind it, and requests to patch it. */
#ifndef TESTS_UNIT_X86_64_PATCH_SITE_CODE_H
#define TESTS_UNIT_X86_64_PATCH_SITE_CODE_H

#include <stddef.h>
#include <stdint.h>

#include "arch/x86_64/patching/patch_plan.h"

#define SITE                0x401100ull /* the syscall of most tests */
#define TABLE_ENTRY         0x00061238ull
#define TRAMPOLINE          0x7f1234567000ull
#define ENTRY               0x7f1234560040ull
#define NR                  39
#define FILLER              0x90
#define MARGIN              32 /* filler on either side */
#define NO_NR               (~0ull)
#define BYTES(...)          (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define NO_BYTES            (const uint8_t *)"", 0
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define MOV_EAX 0xb8, NR, 0, 0, 0                  /* mov $39,%eax */
#define MOV_RAX 0x48, 0xc7, 0xc0, NR, 0, 0, 0      /* mov $39,%rax */
#define CMP_RAX 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff /* cmp $-4095,%rax */
#define RET     0xc3

/* A window: filler, the bytes before, a syscall at SITE, the bytes behind it, filler. */
struct code {
    uint8_t bytes[160];
    size_t length;
    uint64_t addr;
};

struct code make_code(const uint8_t *before, size_t before_length, const uint8_t *after, size_t after_length);
struct patch_request request_for(const struct code *code, uint64_t nr);
struct patch_plan plan_of(const struct code *code, uint64_t nr);

/* The same numbers in every run. */
uint64_t next_random(void);
uint32_t random_below(uint32_t limit);

#endif
