/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Registers: what a new thread has, what may be set, what a call leaves behind. */
#include "unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <string.h>

#include "arch/arch_ptrace.h"

#define USER_END  0x00007ffffffff000ull
#define TRAP_FLAG 0x100u
#define ALL_ONES  UINT64_MAX
#define KERNEL_CS 0x10
#define KERNEL_SS 0x18
#define X32_BIT   0x40000000u

static tg_regs new_registers(void)
{
    tg_regs regs;
    memset(&regs, 0xa5, sizeof(regs));
    tgi_arch.regs_init(&regs);
    return regs;
}

static void a_new_thread(void **state)
{
    (void)state;
    const tg_regs regs = new_registers();
    assert_int_equal(regs.size, sizeof(tg_regs));
    assert_int_equal(regs.arch, AUDIT_ARCH_X86_64);
    assert_int_equal(regs.rax | regs.rbx | regs.rcx | regs.rdx | regs.rsi | regs.rdi | regs.rsp | regs.r15, 0);
    assert_int_equal(regs.fs_base | regs.gs_base, 0);
    assert_int_equal(tgi_arch.regs_check(&regs), 0);
    assert_false(tgi_arch.single_stepping(&regs));
}

static void refused(size_t offset, uint64_t value)
{
    tg_regs regs = new_registers();
    memcpy((unsigned char *)&regs + offset, &value, sizeof(value));
    assert_int_equal(tgi_arch.regs_check(&regs), -EINVAL);
}

static void accepted(size_t offset, uint64_t value)
{
    tg_regs regs = new_registers();
    memcpy((unsigned char *)&regs + offset, &value, sizeof(value));
    assert_int_equal(tgi_arch.regs_check(&regs), 0);
}

static void what_the_kernel_refuses(void **state)
{
    (void)state;
    refused(offsetof(tg_regs, cs), 0);
    refused(offsetof(tg_regs, cs), KERNEL_CS);
    refused(offsetof(tg_regs, cs), 0x10033);
    refused(offsetof(tg_regs, ss), KERNEL_SS);
    refused(offsetof(tg_regs, ds), 0x18);
    refused(offsetof(tg_regs, gs), 0x10000);
    refused(offsetof(tg_regs, fs_base), USER_END);
    refused(offsetof(tg_regs, fs_base), 1ull << 63);
    refused(offsetof(tg_regs, gs_base), ALL_ONES);
}

/* Bad for the guest, which is its own business. */
static void what_only_hurts_the_guest(void **state)
{
    (void)state;
    accepted(offsetof(tg_regs, rip), ALL_ONES);
    accepted(offsetof(tg_regs, rsp), 1ull << 63);
    accepted(offsetof(tg_regs, rax), ALL_ONES);
    accepted(offsetof(tg_regs, orig_rax), 1);
    accepted(offsetof(tg_regs, fs_base), USER_END - 1);
    accepted(offsetof(tg_regs, ds), 0);
    accepted(offsetof(tg_regs, cs), 0x23);
}

static void thread_local_storage(void **state)
{
    (void)state;
    tg_regs regs = new_registers();
    assert_int_equal(tgi_arch.set_tls(&regs, 0x1234), 0);
    assert_int_equal(tgi_arch.tls(&regs), 0x1234);
    assert_int_equal(regs.fs_base, 0x1234);
    assert_int_equal(tgi_arch.set_tls(&regs, USER_END), -EINVAL);
    assert_int_equal(tgi_arch.tls(&regs), 0x1234);
}

static void single_step_is_a_flag(void **state)
{
    (void)state;
    tg_regs regs = new_registers();
    regs.eflags |= TRAP_FLAG;
    assert_true(tgi_arch.single_stepping(&regs));
}

static void stops(void **state)
{
    (void)state;
    const struct arch_syscall call = {.nr = 39, .ip = 0x1002, .arch = AUDIT_ARCH_X86_64};
    tg_regs regs = new_registers();
    regs.rax = (uint64_t)-ENOSYS;
    regs.orig_rax = 39;
    tgi_arch.regs_stopped(&regs, &call);
    assert_int_equal(regs.rax, 39);
    assert_int_equal(regs.orig_rax, 39);
    regs.rax = 7;
    tgi_arch.regs_stopped(&regs, NULL);
    assert_int_equal(regs.rax, 7);
    assert_int_equal(regs.orig_rax, ALL_ONES);
}

static void results_pass_as_they_are(void **state)
{
    (void)state;
    static const int64_t results[] = {0, 1, -1, -4095, -512, -516, INT64_MIN, INT64_MAX};
    tg_regs regs = new_registers();
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        tgi_arch.set_return(&regs, results[i]);
        assert_int_equal(regs.rax, (uint64_t)results[i]);
    }
}

static void calling_again(void **state)
{
    (void)state;
    const struct arch_syscall call = {.nr = 39, .ip = 0x1002, .arch = AUDIT_ARCH_X86_64};
    tg_regs regs = new_registers();
    regs.rip = call.ip;
    regs.rax = 5;
    assert_int_equal(tgi_arch.restart_syscall(&regs, &call), 0);
    assert_int_equal(regs.rip, 0x1000);
    assert_int_equal(regs.rax, 39);
    /* Now it is elsewhere. */
    assert_int_equal(tgi_arch.restart_syscall(&regs, &call), -EINVAL);
    assert_int_equal(regs.rip, 0x1000);
}

/* What the entry of a call with this number through this table is marked with. */
static uint32_t entry_flags(uint32_t audit_arch, uint64_t nr)
{
    struct arch_syscall call = {.arch = audit_arch, .nr = nr};

    tgi_arch_ptrace->syscall_entered(&call);
    return call.flags;
}

static void ways_into_the_kernel(void **state)
{
    struct arch_syscall call = {.arch = AUDIT_ARCH_I386, .nr = ALL_ONES, .args = {ALL_ONES, 0x1122334455667788}};

    (void)state;
    assert_int_equal(entry_flags(AUDIT_ARCH_X86_64, 39), 0);
    assert_int_equal(entry_flags(AUDIT_ARCH_X86_64, X32_BIT | 39), TG_FLAG_X32);
    assert_int_equal(entry_flags(AUDIT_ARCH_X86_64, ALL_ONES), 0);
    assert_int_equal(entry_flags(AUDIT_ARCH_I386, 20), TG_FLAG_COMPAT);
    assert_int_equal(entry_flags(AUDIT_ARCH_I386, X32_BIT | 20), TG_FLAG_COMPAT);
    tgi_arch_ptrace->syscall_entered(&call);
    assert_int_equal(call.nr, UINT32_MAX);
    assert_int_equal(call.args[0], UINT32_MAX);
    assert_int_equal(call.args[1], 0x55667788);
}

/* The kernel refuses to set what a guest can have loaded; what becomes of it passes the check. */
static void odd_state_of_a_guest(void **state)
{
    tg_regs regs = new_registers();

    (void)state;
    regs.ds = 3;
    regs.es = 0x28;
    regs.gs_base = 0xffff800000000000;
    assert_int_equal(tgi_arch.regs_check(&regs), -EINVAL);
    tgi_arch.regs_stopped(&regs, NULL);
    assert_int_equal(tgi_arch.regs_check(&regs), 0);
    assert_int_equal(regs.ds, 0);
    assert_int_equal(regs.es, 0x2b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_thread),
        cmocka_unit_test(what_the_kernel_refuses),
        cmocka_unit_test(what_only_hurts_the_guest),
        cmocka_unit_test(thread_local_storage),
        cmocka_unit_test(single_step_is_a_flag),
        cmocka_unit_test(stops),
        cmocka_unit_test(results_pass_as_they_are),
        cmocka_unit_test(calling_again),
        cmocka_unit_test(ways_into_the_kernel),
        cmocka_unit_test(odd_state_of_a_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
