/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* System calls of the native table: in, out, and again. */
#include <errno.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"

static void set_call(tg_context *context, uint64_t number, const uint64_t args[6])
{
    unsigned int i;

    arch_set_call_number(context, number);
    for (i = 0; i < 6; i++)
        arch_set_argument(context, i, args[i]);
}

static void carries_everything(uint32_t backend)
{
    static const uint64_t args[6] = {1, ~0ull, 0x8000000000000000, 0x00007fffffffffff, 0x123456789abcdef0, 0};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    CHECK_OK(tg_context_set_user_data(guest.context, 0xfeedfacecafebeef));
    set_call(guest.context, SYS_write, args);
    guest_run(&guest);
    CHECK_CALL(&guest.event, SYS_write);
    for (i = 0; i < 6; i++) {
        CHECK_EQ(guest.event.u.syscall.args[i], args[i]);
        CHECK_EQ(arch_argument(guest.context, i), args[i]);
    }
    CHECK_EQ(guest.event.u.syscall.ip, GUEST_CODE_AT + arch_call_length());
    CHECK_EQ(arch_ip(guest.context), guest.event.u.syscall.ip);
    CHECK_EQ(guest.event.arch, platform_info(guest.platform).arch);
    CHECK_EQ(guest.event.user_data, 0xfeedfacecafebeef);
    CHECK_EQ(guest.event.flags & ~(uint32_t)(TG_FLAG_PATCHED | TG_FLAG_PATCHABLE), 0);
    guest_close(&guest);
}

static void any_number(uint32_t backend)
{
    static const uint64_t numbers[] = {0, 1, SYS_getpid, SYS_restart_syscall, 511, 1000, 4096, 0x3fffffff};
    static const uint64_t args[6];
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        set_call(guest.context, numbers[i], args);
        guest_run(&guest);
        CHECK_CALL(&guest.event, numbers[i]);
    }
    guest_close(&guest);
}

static void minus_one_is_a_number(uint32_t backend)
{
    static const uint64_t args[6] = {5, 6, 7, 8, 9, 10};
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    for (i = 0; i < 3; i++) {
        set_call(guest.context, (uint64_t)-1, args);
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_SYSCALL);
        CHECK_EQ((int32_t)guest.event.u.syscall.nr, -1);
        CHECK_EQ(guest.event.u.syscall.args[5], 10);
        CHECK_OK(tg_context_set_return(guest.context, -ENOSYS));
    }
    guest_close(&guest);
}

static void returns_any_value(uint32_t backend)
{
    static const int64_t values[] = {0, 1, -1, -EINTR, -512, -513, -514, -515, -516, -517, -4095, INT64_MAX, INT64_MIN};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(echo_result));
    GUEST_RUN_TO_CALL(&guest);
    for (i = 0; i < ARRAY_SIZE(values); i++) {
        check_context("result %lld", (long long)values[i]);
        CHECK_OK(tg_context_set_return(guest.context, values[i]));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], values[i]);
    }
    guest_close(&guest);
}

/* The kernel would go back to the instruction when it sees such a result at a signal. */
static void restart_codes_meet_interrupts(uint32_t backend)
{
    static const int64_t codes[] = {-512, -513, -514, -516};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(echo_result));
    GUEST_RUN_TO_CALL(&guest);
    for (i = 0; i < ARRAY_SIZE(codes); i++) {
        CHECK_OK(tg_context_set_return(guest.context, codes[i]));
        CHECK_OK(tg_context_interrupt(guest.context));
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], codes[i]);
    }
    guest_close(&guest);
}

/* Calls that would end, stop or change the stub if the host ever ran them. */
static void host_never_runs_them(uint32_t backend)
{
    static const uint64_t numbers[] = {SYS_exit_group,    SYS_exit,   SYS_kill,  SYS_execve,      SYS_munmap,
                                       SYS_rt_sigsuspend, SYS_reboot, SYS_clone, SYS_rt_sigreturn};
    struct guest guest;
    uint64_t args[6] = {0};
    unsigned int i;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    pid = tg_subprocess_pid(guest.subprocess);
    args[0] = (uint64_t)pid;
    args[1] = 9;
    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        set_call(guest.context, numbers[i], args);
        guest_run(&guest);
        CHECK_CALL(&guest.event, numbers[i]);
        CHECK_OK(tg_context_set_return(guest.context, 0));
    }
    CHECK_EQ(tg_subprocess_pid(guest.subprocess), pid);
    CHECK(proc_alive(pid));
    guest_close(&guest);
}

static void restart_raises_it_again(uint32_t backend)
{
    static const uint64_t args[6] = {11, 12, 13, 14, 15, 16};
    struct guest guest;
    unsigned int i;
    int round;

    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    set_call(guest.context, SYS_futex, args);
    guest_run(&guest);
    for (round = 0; round < 5; round++) {
        if (round % 2)
            CHECK_OK(tg_context_set_return(guest.context, -EINTR));
        CHECK_OK(tg_context_restart_syscall(guest.context));
        guest_run(&guest);
        CHECK_CALL(&guest.event, SYS_futex);
        for (i = 0; i < 6; i++)
            CHECK_EQ(guest.event.u.syscall.args[i], args[i]);
        CHECK_EQ(guest.event.u.syscall.ip, GUEST_CODE_AT + arch_call_length());
    }
    guest_close(&guest);
}

static void restart_needs_a_call(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    CHECK_RESULT(tg_context_restart_syscall(guest.context), -EINVAL);
    arch_set_argument(guest.context, 0, GUEST_HOLE_AT);
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    CHECK_RESULT(tg_context_restart_syscall(guest.context), -EINVAL);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    CHECK_RESULT(tg_context_restart_syscall(guest.context), -EINVAL);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* It would overwrite a register that the guest computes with. */
static void result_needs_a_call(uint32_t backend)
{
    struct guest guest;
    tg_context *copy;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    copy = create_context(guest.platform);
    CHECK_RESULT(tg_context_set_return(guest.context, 1), -EINVAL);
    arch_set_argument(guest.context, 0, GUEST_HOLE_AT);
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    CHECK_RESULT(tg_context_set_return(guest.context, 1), -EINVAL);
    CHECK_OK(tg_context_interrupt(guest.context));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    CHECK_RESULT(tg_context_set_return(guest.context, 1), -EINVAL);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_copy(copy, guest.context));
    CHECK_OK(tg_context_set_return(copy, 1));
    CHECK_OK(tg_context_set_return(guest.context, 1));
    CHECK_OK(tg_context_set_return(guest.context, 2));
    CHECK_OK(tg_context_restart_syscall(guest.context));
    CHECK_RESULT(tg_context_set_return(guest.context, 1), -EINVAL);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_start(guest.context, GUEST_CODE_AT, GUEST_STACK_TOP));
    CHECK_RESULT(tg_context_set_return(guest.context, 1), -EINVAL);
    tg_context_destroy(copy);
    guest_close(&guest);
}

static void restart_after_interrupt(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_restart_syscall(guest.context));
    CHECK_OK(tg_context_interrupt(guest.context));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 1);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 2);
    guest_close(&guest);
}

const struct test_case syscall_cases[] = {
    {"syscall.carries_everything", "Number, six arguments, instruction pointer, arch and user data arrive exactly",
     carries_everything},
    {"syscall.any_number", "Numbers that no kernel knows arrive like any other", any_number},
    {"syscall.minus_one", "A call with number -1 is a call and not its absence", minus_one_is_a_number},
    {"syscall.result", "Every result reaches the guest as it is, the kernel's restart codes included",
     returns_any_value},
    {"syscall.result_and_interrupt", "An interrupt does not make the kernel act on a restart code",
     restart_codes_meet_interrupts},
    {"syscall.never_on_host", "Calls such as exit_group, kill and execve never reach the host kernel",
     host_never_runs_them},
    {"syscall.restart", "A restarted call comes back with the number and arguments it had", restart_raises_it_again},
    {"syscall.restart_refused", "Restart is refused without a call, after a fault and after the guest was moved",
     restart_needs_a_call},
    {"syscall.result_refused", "A result is refused where the context has not come back with a system call",
     result_needs_a_call},
    {"syscall.restart_and_interrupt", "A restart and an interrupt at the same time lose neither",
     restart_after_interrupt},
    {0},
};
