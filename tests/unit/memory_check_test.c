/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The check that stands between an embedder's mistake and the stub: on a made-up platform with odd borders. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/handles.h"
#include "core/last_error.h"

#define PAGE     0x1000ull
#define START    0x10000ull
#define END      0x7ffff000ull
#define STUB     0x40000000ull
#define STUB_END 0x40002000ull
#define LAST     0x7fff0000ull
#define LAST_END END

static struct tg_platform platform;
static struct tg_subprocess subprocess = {.platform = &platform};

static int begin(void **state)
{
    (void)state;
    memset(&platform, 0, sizeof(platform));
    platform.id = 1;
    platform.info = (struct tg_info){
        .page_size = PAGE,
        .user_start = START,
        .user_end = END,
        .reserved_count = 2,
        .reserved = {{STUB, STUB_END}, {LAST, LAST_END}},
    };
    return 0;
}

static struct tg_mem_op op_of(uint32_t kind, uint64_t addr, uint64_t length)
{
    return (struct tg_mem_op){.size = sizeof(struct tg_mem_op),
                              .kind = kind,
                              .addr = addr,
                              .length = length,
                              .prot = TG_PROT_READ,
                              .fd = -1,
                              .advice = MADV_DONTNEED};
}

static void expect_op(struct tg_mem_op op, int expected)
{
    const char *before = last_error_get(platform.id);
    const int result = subprocess_check_ops(&subprocess, &op, 1);
    if (result != expected)
        print_message("kind %u addr 0x%llx length 0x%llx: %d\n", op.kind, (unsigned long long)op.addr,
                      (unsigned long long)op.length, result);
    assert_int_equal(result, expected);
    if (expected != 0)
        assert_ptr_not_equal(last_error_get(platform.id), before);
}

static void expect_range(uint64_t addr, uint64_t length, int expected)
{
    for (uint32_t kind = TG_MEM_MAP; kind <= TG_MEM_ADVISE; kind++)
        expect_op(op_of(kind, addr, length), expected);
}

static void borders(void **state)
{
    (void)state;
    expect_range(START, PAGE, 0);
    expect_range(START, 1, 0);
    expect_range(START - PAGE, PAGE, -EINVAL);
    expect_range(START - PAGE, 2 * PAGE, -EINVAL);
    expect_range(LAST - PAGE, PAGE, 0);
    expect_range(LAST - PAGE, PAGE + 1, -EINVAL);
    expect_range(END, PAGE, -EINVAL);
    expect_range(START, END - START, -EINVAL);
    expect_range(START, 0, -EINVAL);
    expect_range(START + 1, PAGE, -EINVAL);
}

static void around_the_stub(void **state)
{
    (void)state;
    expect_range(STUB - PAGE, PAGE, 0);
    expect_range(STUB - PAGE, PAGE + 1, -EINVAL);
    expect_range(STUB, 1, -EINVAL);
    expect_range(STUB + PAGE, PAGE, -EINVAL);
    expect_range(STUB_END - PAGE, 100 * PAGE, -EINVAL);
    expect_range(STUB_END, PAGE, 0);
    expect_range(STUB - 100 * PAGE, 200 * PAGE, -EINVAL);
}

static void arithmetic_that_wraps(void **state)
{
    (void)state;
    expect_range(START, UINT64_MAX, -EINVAL);
    expect_range(START, 0 - START, -EINVAL);
    expect_range(START, 0 - START + PAGE, -EINVAL);
    expect_range(0 - PAGE, PAGE, -EINVAL);
    expect_range(0 - PAGE, START + 2 * PAGE, -EINVAL);
    expect_range(STUB_END, 0 - STUB_END + STUB, -EINVAL);
}

static void moves(void **state)
{
    (void)state;
    struct tg_mem_op op = op_of(TG_MEM_MOVE, START, 3 * PAGE);
    static const struct {
        uint64_t to;
        int expected;
    } tries[] = {
        {START + 3 * PAGE, 0},
        {START + 2 * PAGE, -EINVAL},
        {START, -EINVAL},
        {START + 3 * PAGE + 1, -EINVAL},
        {0, -EINVAL},
        {STUB - 3 * PAGE, 0},
        {STUB, -EINVAL},
        {STUB - 2 * PAGE, -EINVAL},
        {LAST - 2 * PAGE, -EINVAL},
        {END, -EINVAL},
        {0 - PAGE, -EINVAL},
        {1ull << 63, -EINVAL},
    };
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        op.offset = tries[i].to;
        expect_op(op, tries[i].expected);
    }
    op.offset = START + 3 * PAGE;
    op.length = 2 * PAGE + 1;
    expect_op(op, 0);
    op.length = 3 * PAGE + 1;
    expect_op(op, -EINVAL);
    op.length = 0;
    expect_op(op, -EINVAL);
    op.length = PAGE;
    op.addr = START - PAGE;
    expect_op(op, -EINVAL);
    op.addr = START + 4 * PAGE;
    expect_op(op, 0);
    op.flags = TG_MAP_NOREPLACE;
    expect_op(op, -EINVAL);
}

static void unknown_bits(void **state)
{
    (void)state;
    struct tg_mem_op op = op_of(TG_MEM_MAP, START, PAGE);
    for (uint32_t bit = 0; bit < 32; bit++) {
        op = op_of(TG_MEM_MAP, START, PAGE);
        op.prot = 1u << bit;
        expect_op(op, bit < 3 ? 0 : -EINVAL);
        op.kind = TG_MEM_PROTECT;
        expect_op(op, bit < 3 ? 0 : -EINVAL);
        op = op_of(TG_MEM_MAP, START, PAGE);
        op.flags = 1u << bit;
        expect_op(op, bit < 4 ? 0 : -EINVAL);
        op = op_of(1u << bit, START, PAGE);
        expect_op(op, bit < 3 ? 0 : -EINVAL);
    }
    expect_op(op_of(0, START, PAGE), -EINVAL);
}

static void offsets(void **state)
{
    (void)state;
    struct tg_mem_op op = op_of(TG_MEM_MAP, START, PAGE);
    op.fd = 0;
    expect_op(op, -EINVAL);
    op.flags = TG_MAP_FD;
    expect_op(op, 0);
    op.fd = -1;
    expect_op(op, -EINVAL);
    op.flags = 0;
    op.fd = 3;
    op.offset = PAGE;
    expect_op(op, 0);
    op.offset = PAGE + 1;
    expect_op(op, -EINVAL);
    op.offset = 0 - PAGE;
    expect_op(op, -EINVAL);
    op.offset = 1ull << 63;
    expect_op(op, -EINVAL);
}

static void advice(void **state)
{
    (void)state;
    static const int32_t unnamed[] = {MADV_NORMAL, MADV_DONTFORK, MADV_HWPOISON, MADV_MERGEABLE, -1, 1 << 30};
    struct tg_mem_op op = op_of(TG_MEM_ADVISE, START, PAGE);
    op.advice = MADV_REMOVE;
    expect_op(op, 0);
    for (size_t i = 0; i < sizeof(unnamed) / sizeof(unnamed[0]); i++) {
        op.advice = unnamed[i];
        expect_op(op, -EINVAL);
    }
}

/* Code can be run, and is not written. */
static void code(void **state)
{
    (void)state;
    static const struct {
        uint32_t prot;
        int expected;
    } rights[] = {
        {TG_PROT_EXEC, 0},
        {TG_PROT_READ | TG_PROT_EXEC, 0},
        {TG_PROT_READ, -EINVAL},
        {TG_PROT_NONE, -EINVAL},
        {TG_PROT_READ | TG_PROT_WRITE | TG_PROT_EXEC, -EINVAL},
    };

    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        struct tg_mem_op op = op_of(TG_MEM_MAP, START, PAGE);

        op.prot = rights[i].prot;
        op.flags = TG_MAP_CODE;
        expect_op(op, rights[i].expected);
        op.flags = TG_MAP_CODE | TG_MAP_SHARED;
        expect_op(op, rights[i].expected);
    }
}

/* Who meets the range that patched calls need hears of the way out. */
static void patching_needs_it(void **state)
{
    (void)state;
    const struct tg_mem_op op = op_of(TG_MEM_MAP, STUB, PAGE);

    assert_int_equal(subprocess_check_ops(&subprocess, &op, 1), -EINVAL);
    assert_null(strstr(last_error_get(platform.id), "TG_OPEN_NO_PATCHING"));
    platform.info.capabilities = TG_CAP_PATCHING;
    assert_int_equal(subprocess_check_ops(&subprocess, &op, 1), -EINVAL);
    assert_non_null(strstr(last_error_get(platform.id), "TG_OPEN_NO_PATCHING"));
}

static void one_bad_among_good(void **state)
{
    (void)state;
    struct tg_mem_op ops[8];
    for (size_t i = 0; i < 8; i++)
        ops[i] = op_of(TG_MEM_UNMAP, START, PAGE);
    assert_int_equal(subprocess_check_ops(&subprocess, ops, 8), 0);
    for (size_t i = 0; i < 8; i++) {
        char index[16];
        ops[i].length = 0;
        assert_int_equal(subprocess_check_ops(&subprocess, ops, 8), -EINVAL);
        snprintf(index, sizeof(index), " %zu", i);
        /* The sentence says which one. */
        assert_non_null(strstr(last_error_get(platform.id), index));
        ops[i].length = PAGE;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(borders, begin),
        cmocka_unit_test_setup(around_the_stub, begin),
        cmocka_unit_test_setup(arithmetic_that_wraps, begin),
        cmocka_unit_test_setup(moves, begin),
        cmocka_unit_test_setup(unknown_bits, begin),
        cmocka_unit_test_setup(offsets, begin),
        cmocka_unit_test_setup(advice, begin),
        cmocka_unit_test_setup(code, begin),
        cmocka_unit_test_setup(patching_needs_it, begin),
        cmocka_unit_test_setup(one_bad_among_good, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
