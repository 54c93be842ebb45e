/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls into the vsyscall page: stopped by the filter where the kernel emulates the page, a fault where it does not. */
#include "unit.h"

#include <linux/audit.h>
#include <string.h>
#include <sys/syscall.h>

#include "arch/arch_cpu.h"

#define GETTIMEOFDAY_AT 0xffffffffff600000ull
#define TIME_AT         0xffffffffff600400ull
#define GETCPU_AT       0xffffffffff600800ull
#define STACK           0x8000u
#define CALLER          0x401234u
#define SECCOMP_CODE    1

struct stack {
    uint64_t top;
    bool readable;
};

static size_t read_stack(void *argument, uint64_t addr, void *buffer, size_t length)
{
    const struct stack *stack = argument;
    assert_int_equal(addr, STACK);
    if (!stack->readable || length != sizeof(stack->top))
        return 0;
    memcpy(buffer, &stack->top, sizeof(stack->top));
    return sizeof(stack->top);
}

static tg_regs caller_registers(uint64_t ip)
{
    tg_regs regs;
    tgi_arch.regs_init(&regs);
    regs.rip = ip;
    regs.rsp = STACK;
    regs.rdi = 1;
    regs.rsi = 2;
    regs.rdx = 3;
    regs.r10 = 4;
    regs.r8 = 5;
    regs.r9 = 6;
    return regs;
}

static void check_call(const struct arch_syscall *call, uint64_t number)
{
    assert_int_equal(call->nr, number);
    assert_int_equal(call->ip, CALLER);
    assert_int_equal(call->arch, AUDIT_ARCH_X86_64);
    assert_int_equal(call->flags, TG_FLAG_VSYSCALL);
    for (uint64_t i = 0; i < 6; i++)
        assert_int_equal(call->args[i], i + 1);
}

static void check_fault(uint64_t at, uint64_t number)
{
    struct stack stack = {CALLER, true};
    const struct arch_guest guest = {.read = read_stack, .arg = &stack};
    const siginfo_t fault = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR};
    tg_regs regs = caller_registers(at);
    struct arch_syscall call;
    assert_true(tgi_arch.syscall_from_signal(&regs, &fault, &guest, &call));
    check_call(&call, number);
    assert_int_equal(regs.rip, CALLER);
    assert_int_equal(regs.rsp, STACK + 8);
    /* And back, when the call is to be made again. */
    assert_int_equal(tgi_arch.restart_syscall(&regs, &call), 0);
    assert_int_equal(regs.rip, at);
    assert_int_equal(regs.rsp, STACK);
}

static void faults(void **state)
{
    (void)state;
    check_fault(GETTIMEOFDAY_AT, SYS_gettimeofday);
    check_fault(TIME_AT, SYS_time);
    check_fault(GETCPU_AT, SYS_getcpu);
}

static void filter_stops(void **state)
{
    (void)state;
    struct stack stack = {0, false};
    const struct arch_guest guest = {.read = read_stack, .arg = &stack};
    siginfo_t info = {.si_signo = SIGSYS, .si_code = SECCOMP_CODE};
    tg_regs regs = caller_registers(CALLER);
    struct arch_syscall call;
    info.si_call_addr = (void *)TIME_AT; /* NOLINT(performance-no-int-to-ptr) */
    info.si_syscall = SYS_time;
    assert_true(tgi_arch.syscall_from_signal(&regs, &info, &guest, &call));
    check_call(&call, SYS_time);
}

/* A fault elsewhere stays a fault, and a stack without a return address leaves nowhere to go. */
static void other_signals(void **state)
{
    (void)state;
    struct stack stack = {CALLER, false};
    const struct arch_guest guest = {.read = read_stack, .arg = &stack};
    const siginfo_t fault = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR};
    const siginfo_t invalid = {.si_signo = SIGILL};
    struct arch_syscall call;
    tg_regs regs = caller_registers(0x400000);
    assert_false(tgi_arch.syscall_from_signal(&regs, &fault, &guest, &call));
    regs = caller_registers(TIME_AT + 1);
    assert_false(tgi_arch.syscall_from_signal(&regs, &fault, &guest, &call));
    regs = caller_registers(TIME_AT);
    assert_false(tgi_arch.syscall_from_signal(&regs, &fault, &guest, &call));
    assert_int_equal(regs.rip, TIME_AT);
    assert_false(tgi_arch.syscall_from_signal(&regs, &invalid, &guest, &call));
}

/* A SIGSYS that somebody sent is no call, whatever it pretends. */
static void forged_signal(void **state)
{
    (void)state;
    struct stack stack = {CALLER, true};
    const struct arch_guest guest = {.read = read_stack, .arg = &stack};
    siginfo_t info = {.si_signo = SIGSYS, .si_code = SI_USER};
    struct arch_syscall call;
    tg_regs regs = caller_registers(CALLER);
    info.si_call_addr = (void *)TIME_AT; /* NOLINT(performance-no-int-to-ptr) */
    info.si_syscall = SYS_time;
    assert_false(tgi_arch.syscall_from_signal(&regs, &info, &guest, &call));
    info.si_code = SECCOMP_CODE;
    info.si_syscall = SYS_getcpu;
    assert_false(tgi_arch.syscall_from_signal(&regs, &info, &guest, &call));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults),
        cmocka_unit_test(filter_stops),
        cmocka_unit_test(other_signals),
        cmocka_unit_test(forged_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
