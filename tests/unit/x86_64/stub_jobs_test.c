/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The cookie of injected calls: carried where the kernel ignores it, and nowhere else. */
#include "unit.h"

#include <string.h>
#include <sys/syscall.h>

#include "arch/arch_ptrace.h"

#define COOKIE 0x1122334455667788ull
#define START  0x7f0000000000ull

static struct stub_call plain_call(uint64_t number)
{
    return (struct stub_call){.nr = number, .args = {0x1000, 0x2000, 3, 0x32, UINT64_MAX, 0x4000}};
}

static void only_changed(uint64_t number, size_t index, uint64_t expected)
{
    struct stub_call call = plain_call(number);
    struct stub_call wanted = plain_call(number);
    wanted.args[index] = expected;
    tgi_arch_ptrace->stub_add_cookie(&call, COOKIE);
    assert_memory_equal(&call, &wanted, sizeof(call));
}

static void cookie_in_an_unused_argument(void **state)
{
    (void)state;
    only_changed(SYS_munmap, 2, COOKIE);
    only_changed(SYS_mprotect, 3, COOKIE);
    only_changed(SYS_madvise, 3, COOKIE);
    only_changed(SYS_clone, 5, COOKIE);
    only_changed(SYS_getpid, 0, 0x1000);
}

/* mmap uses all six: the kernel reads 32 bits of its flags and its descriptor. */
static void cookie_of_mmap(void **state)
{
    (void)state;
    struct stub_call call = plain_call(SYS_mmap);
    tgi_arch_ptrace->stub_add_cookie(&call, COOKIE);
    assert_int_equal((uint32_t)call.args[3], 0x32);
    assert_int_equal((int32_t)call.args[4], -1);
    assert_int_equal((call.args[3] & 0xffffffff00000000ull) | call.args[4] >> 32, COOKIE);
    assert_int_equal(call.args[5], 0x4000);
}

static struct arch_stub_request request_of(enum arch_stub_job job)
{
    return (struct arch_stub_request){.job = job,
                                      .stub_start = START,
                                      .cookie = COOKIE,
                                      .call = plain_call(SYS_munmap),
                                      .batch = START + 0x1000,
                                      .batch_count = 5};
}

static void registers_of_a_call(void **state)
{
    (void)state;
    const struct arch_stub_request request = request_of(ARCH_STUB_CALL);
    tg_regs regs;
    tgi_arch_ptrace->stub_request(&regs, &request);
    assert_int_equal(regs.rax, SYS_munmap);
    assert_int_equal(regs.rdi, 0x1000);
    assert_int_equal(regs.r9, 0x4000);
    assert_int_equal(tgi_arch.regs_check(&regs), 0);
    assert_int_equal(tgi_arch_ptrace->stub_place(&regs, START), ARCH_STUB_ELSEWHERE);
}

static void results(void **state)
{
    (void)state;
    tg_regs regs;
    tgi_arch.regs_init(&regs);
    regs.rax = (uint64_t)-12;
    assert_int_equal(tgi_arch_ptrace->stub_result(&regs), -12);
}

static void a_batch_counts_down(void **state)
{
    (void)state;
    const struct arch_stub_request request = request_of(ARCH_STUB_BATCH);
    tg_regs regs;
    tgi_arch_ptrace->stub_request(&regs, &request);
    assert_int_equal(tgi_arch_ptrace->stub_batch_left(&regs), 5);
}

static void parked_threads_hold_no_cookie(void **state)
{
    (void)state;
    const struct arch_stub_request request = request_of(ARCH_STUB_PARK);
    tg_regs regs;
    uint64_t words[sizeof(tg_regs) / sizeof(uint64_t)];
    tgi_arch_ptrace->stub_request(&regs, &request);
    assert_int_equal(tgi_arch_ptrace->stub_place(&regs, START), ARCH_STUB_PARKED);
    memcpy(words, &regs, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_int_not_equal(words[i], COOKIE);
}

static void places_outside_the_stub(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, START - 1, START + 0x100000, UINT64_MAX};
    tg_regs regs;
    tgi_arch.regs_init(&regs);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        regs.rip = places[i];
        assert_int_equal(tgi_arch_ptrace->stub_place(&regs, START), ARCH_STUB_ELSEWHERE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookie_in_an_unused_argument), cmocka_unit_test(cookie_of_mmap),
        cmocka_unit_test(registers_of_a_call),          cmocka_unit_test(results),
        cmocka_unit_test(a_batch_counts_down),          cmocka_unit_test(parked_threads_hold_no_cookie),
        cmocka_unit_test(places_outside_the_stub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
