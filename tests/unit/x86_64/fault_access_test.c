/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a faulting instruction did to memory. */
#include "unit.h"

#include <string.h>

#include "arch/arch_cpu.h"

#define CODE 0x400000u

/* As fault_cases.S emits it. */
struct fault_case {
    const char *instruction;
    const unsigned char *code;
    uint64_t length;
    uint64_t addr;
    uint64_t access;
};

extern const struct fault_case fault_cases[];
extern const struct fault_case fault_cases_end[];

struct code {
    const unsigned char *bytes;
    size_t length;
    bool executable;
};

static size_t read_code(void *argument, uint64_t addr, void *buffer, size_t length)
{
    const struct code *code = argument;
    assert_int_equal(addr, CODE);
    if (length > code->length)
        length = code->length;
    memcpy(buffer, code->bytes, length);
    return length;
}

static bool code_is_executable(void *argument, uint64_t addr)
{
    const struct code *code = argument;
    (void)addr;
    return code->executable;
}

static uint32_t access_of(const void *bytes, size_t length, bool executable, uint64_t addr)
{
    struct code code = {bytes, length, executable};
    const struct arch_guest guest = {.read = read_code, .executable = code_is_executable, .arg = &code};
    tg_regs regs;
    tgi_arch.regs_init(&regs);
    regs.rip = CODE;
    regs.rcx = 4;
    regs.rdi = 0x1000;
    regs.rsi = 0x2000;
    regs.rsp = 0x8000;
    regs.rbp = 0x9000;
    regs.fs_base = 0x50000;
    regs.gs_base = 0x60000;
    return tgi_arch.fault_access(&regs, addr, &guest);
}

static void every_instruction(void **state)
{
    (void)state;
    unsigned int wrong = 0;
    assert_true(fault_cases_end - fault_cases > 50);
    for (const struct fault_case *test = fault_cases; test < fault_cases_end; test++) {
        /* The page that a fetch failed on is not executable. */
        const bool executable = test->access != TG_ACCESS_EXEC;
        const uint32_t access = access_of(test->code, test->length, executable, test->addr);
        if (access == test->access)
            continue;
        print_message("%s at 0x%llx: access %u, not %llu\n", test->instruction, (unsigned long long)test->addr, access,
                      (unsigned long long)test->access);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* Nothing can be read at the instruction pointer: the fetch failed, or nobody knows. */
static void unreadable_code(void **state)
{
    (void)state;
    assert_int_equal(access_of("", 0, false, CODE), TG_ACCESS_EXEC);
    assert_int_equal(access_of("", 0, false, 0x1000), 0);
}

/* The first bytes are on a page that can be read, the rest on one that cannot. */
static void code_across_an_edge(void **state)
{
    (void)state;
    static const unsigned char half_of_a_mov[] = {0x48, 0x8b};
    struct code code = {half_of_a_mov, sizeof(half_of_a_mov), false};
    const struct arch_guest guest = {.read = read_code, .executable = code_is_executable, .arg = &code};
    tg_regs regs;
    tgi_arch.regs_init(&regs);
    regs.rip = CODE;
    assert_int_equal(tgi_arch.fault_access(&regs, CODE, &guest), TG_ACCESS_EXEC);
    assert_int_equal(tgi_arch.fault_access(&regs, 0x1000, &guest), 0);
}

/* A guest that writes to its own code page: the page runs, so the write failed. */
static void store_to_own_code(void **state)
{
    (void)state;
    static const unsigned char store_to_itself[] = {0x48, 0x89, 0x05, 0xf9, 0xff, 0xff, 0xff}; /* mov %rax, -7(%rip) */
    assert_int_equal(access_of(store_to_itself, sizeof(store_to_itself), true, CODE), TG_ACCESS_WRITE);
    assert_int_equal(access_of(store_to_itself, sizeof(store_to_itself), false, CODE), TG_ACCESS_EXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction),
        cmocka_unit_test(unreadable_code),
        cmocka_unit_test(code_across_an_edge),
        cmocka_unit_test(store_to_own_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
