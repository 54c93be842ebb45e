/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The other ways into the kernel: int 0x80, sysenter, 32-bit code, x32 numbers and the vsyscall page. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "../cases.h"
#include "arch.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "native.h"

#define I386_GETPID     20
#define X32_BIT         0x40000000
#define COMPAT_CODE     0x23
#define VSYSCALL_PAGE   0xffffffffff600000ull
#define VSYSCALL_STRIDE 0x400

static void require_int80(const struct guest *guest)
{
    if (!(platform_info(guest->platform).capabilities & TG_CAP_SYSCALL_ARCH))
        SKIP("this kernel does not say which way a call came");
    if (native_run(GUEST_CODE(int80_once)).signo != 0)
        SKIP("this kernel has no 32-bit entries");
}

static void check_compat(const struct guest *guest, uint64_t number)
{
    CHECK_CALL(&guest->event, number);
    CHECK_EQ(guest->event.flags & (TG_FLAG_COMPAT | TG_FLAG_X32), TG_FLAG_COMPAT);
    CHECK_EQ(guest->event.arch, AUDIT_ARCH_I386);
}

static void int80(uint32_t backend)
{
    static const uint64_t numbers[] = {0, 1, I386_GETPID, 119, 252, 1000};
    struct guest guest;
    unsigned int i;
    uint64_t j;

    guest_open(&guest, backend, GUEST_CODE(int80_loop));
    require_int80(&guest);
    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        tg_regs *regs = tg_context_regs_mut(guest.context);

        check_context("number %llu", (unsigned long long)numbers[i]);
        regs->rax = numbers[i];
        regs->rbx = 1;
        regs->rcx = 2;
        regs->rdx = 3;
        regs->rsi = 4;
        regs->rdi = 5;
        regs->rbp = 6;
        guest_run(&guest);
        check_compat(&guest, numbers[i]);
        for (j = 0; j < 6; j++)
            CHECK_EQ(guest.event.u.syscall.args[j], j + 1);
        CHECK_EQ(guest.event.u.syscall.ip, GUEST_CODE_AT + 2);
        CHECK_EQ(arch_ip(guest.context), GUEST_CODE_AT + 2);
    }
    guest_close(&guest);
}

/* Arguments of the 32-bit table are 32 bits wide. */
static void int80_is_narrow(uint32_t backend)
{
    struct guest guest;
    tg_regs *regs;

    guest_open(&guest, backend, GUEST_CODE(int80_loop));
    require_int80(&guest);
    regs = tg_context_regs_mut(guest.context);
    regs->rax = I386_GETPID;
    regs->rbx = 0xaaaaaaaa11111111;
    guest_run(&guest);
    check_compat(&guest, I386_GETPID);
    CHECK_EQ(guest.event.u.syscall.args[0], 0x11111111);
    CHECK_EQ(tg_context_regs(guest.context)->rbx, 0xaaaaaaaa11111111);
    guest_close(&guest);
}

static void int80_results(uint32_t backend)
{
    static const int64_t results[] = {0, 7, -EFAULT, -512, -516};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(int80_echo));
    require_int80(&guest);
    guest_run(&guest);
    for (i = 0; i < ARRAY_SIZE(results); i++) {
        check_context("result %lld", (long long)results[i]);
        CHECK_OK(tg_context_set_return(guest.context, results[i]));
        guest_run(&guest);
        check_compat(&guest, I386_GETPID);
        CHECK_EQ((uint32_t)guest.event.u.syscall.args[0], (uint32_t)results[i]);
    }
    guest_close(&guest);
}

static void int80_restarts(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(int80_loop));
    require_int80(&guest);
    tg_context_regs_mut(guest.context)->rax = I386_GETPID;
    guest_run(&guest);
    for (i = 0; i < 3; i++) {
        CHECK_OK(tg_context_set_return(guest.context, -EINTR));
        CHECK_OK(tg_context_restart_syscall(guest.context));
        guest_run(&guest);
        check_compat(&guest, I386_GETPID);
    }
    guest_close(&guest);
}

/* A native call after a compat call, and the other way round: nothing sticks. */
static void entries_mix(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(int80_loop));
    require_int80(&guest);
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(call_loop));
    for (i = 0; i < 4; i++) {
        tg_context_regs_mut(guest.context)->rax = I386_GETPID;
        arch_set_ip(guest.context, GUEST_CODE_AT);
        guest_run(&guest);
        check_compat(&guest, I386_GETPID);
        arch_set_ip(guest.context, GUEST_CODE_AT + GUEST_CODE_SIZE);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.arch, AUDIT_ARCH_X86_64);
        CHECK_EQ(guest.event.flags & TG_FLAG_COMPAT, 0);
    }
    guest_close(&guest);
}

static void code_of_32_bits(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(code32));
    require_int80(&guest);
    if (native_run(GUEST_CODE(code32)).signo != 0)
        SKIP("32-bit code does not run natively either");
    guest_run(&guest);
    check_compat(&guest, I386_GETPID);
    CHECK_EQ(guest.event.u.syscall.args[0], 0x11111111);
    CHECK_EQ(guest.event.u.syscall.args[5], 0x66666666);
    CHECK_EQ(guest.event.u.syscall.ip, GUEST_PLACE(code32, code32_first) + 2);
    CHECK_EQ(tg_context_regs(guest.context)->cs, COMPAT_CODE);
    CHECK_OK(tg_context_set_return(guest.context, 77));
    guest_run(&guest);
    check_compat(&guest, I386_GETPID);
    CHECK_EQ(guest.event.u.syscall.args[0], 77);
    /* Back to 64 bits. */
    guest_restart(&guest);
    guest_run(&guest);
    check_compat(&guest, I386_GETPID);
    guest_close(&guest);
}

/* A stub thread that was in 32-bit code serves the library and other contexts like any other. */
static void stub_after_32_bits(uint32_t backend)
{
    struct guest guest;
    struct guest other;

    guest_open(&guest, backend, GUEST_CODE(code32));
    require_int80(&guest);
    if (native_run(GUEST_CODE(code32)).signo != 0)
        SKIP("32-bit code does not run natively either");
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(counting_calls));
    other = guest;
    other.context = create_context(guest.platform);
    CHECK_OK(tg_context_start(other.context, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
    guest_run(&guest);
    check_compat(&guest, I386_GETPID);
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&other);
    CHECK_EQ(other.event.u.syscall.args[0], 1);
    CHECK_OK(tg_context_set_return(guest.context, 78));
    guest_run(&guest);
    check_compat(&guest, I386_GETPID);
    CHECK_EQ(guest.event.u.syscall.args[0], 78);
    GUEST_RUN_TO_CALL(&other);
    tg_context_destroy(other.context);
    guest_close(&guest);
}

/* What libraries for such filters do to numbers of another architecture, if nobody says otherwise. */
static void end_threads_that_make_x32_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void x32_filtered(uint32_t backend)
{
    struct guest guest;

    end_threads_that_make_x32_calls();
    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    arch_set_call_number(guest.context, SYS_getpid);
    guest_run(&guest);
    CHECK_CALL(&guest.event, SYS_getpid);
    arch_set_call_number(guest.context, X32_BIT | SYS_getpid);
    guest_run(&guest);
    /* A traced stub's calls never get as far as a filter. */
    if (backend == TG_BACKEND_PTRACE)
        CHECK_CALL(&guest.event, X32_BIT | SYS_getpid);
    else
        CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGSYS);
    guest_close(&guest);
}

static void x32(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(raw_call_loop));
    for (i = 0; i < 3; i++) {
        arch_set_call_number(guest.context, X32_BIT | SYS_getpid);
        arch_set_argument(guest.context, 0, 55);
        guest_run(&guest);
        CHECK_CALL(&guest.event, X32_BIT | SYS_getpid);
        CHECK_EQ(guest.event.arch, AUDIT_ARCH_X86_64);
        CHECK_EQ(guest.event.flags & (TG_FLAG_X32 | TG_FLAG_COMPAT), TG_FLAG_X32);
        CHECK_EQ(guest.event.u.syscall.args[0], 55);
    }
    guest_close(&guest);
}

/* On some processors this is a call, on others an undefined instruction. */
static void sysenter(uint32_t backend)
{
    struct native_signal native = native_run(GUEST_CODE(sysenter_once));
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(sysenter_once));
    guest_run(&guest);
    if (native.signo == SIGILL) {
        CHECK_EXCEPTION(&guest.event, SIGILL, native.code);
        CHECK_EQ(arch_ip(guest.context), GUEST_CODE_AT + native.ip);
        printf("sysenter is an undefined instruction here\n");
    } else if (guest.event.kind == TG_EVENT_SYSCALL) {
        check_compat(&guest, I386_GETPID);
    } else {
        CHECK_EXCEPTION(&guest.event, native.signo, native.code);
    }
    guest_restart(&guest);
    load_code(guest.subprocess, GUEST_CODE_AT, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* A page that cannot be mapped does not go away: its entries come as calls, or as fetch faults to serve. */
static void serve_vsyscall(struct guest *guest, uint64_t entry, uint64_t number, int64_t result)
{
    guest_run(guest);
    if (guest->event.kind == TG_EVENT_FAULT) {
        tg_regs *regs = tg_context_regs_mut(guest->context);

        CHECK_FAULT(&guest->event, entry, TG_ACCESS_EXEC, SIGSEGV, guest->event.u.fault.code);
        regs->rip = guest_load(guest->subprocess, regs->rsp);
        regs->rsp += 8;
        regs->rax = (uint64_t)result;
        return;
    }
    CHECK_CALL(&guest->event, number);
    CHECK_EQ(guest->event.flags & TG_FLAG_VSYSCALL, TG_FLAG_VSYSCALL);
    CHECK_EQ(guest->event.u.syscall.args[0], GUEST_DATA_AT);
    CHECK_EQ(guest->event.u.syscall.args[1], GUEST_DATA_AT + 8);
    CHECK_OK(tg_context_set_return(guest->context, result));
}

static void check_vsyscall(uint32_t backend, unsigned int index, uint64_t number)
{
    uint64_t entry = VSYSCALL_PAGE + index * VSYSCALL_STRIDE;
    struct guest guest;
    int64_t i;

    guest_open(&guest, backend, GUEST_CODE(vsyscall_loop));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + 8);
    arch_set_argument(guest.context, 2, entry);
    for (i = 1; i <= 5; i++) {
        serve_vsyscall(&guest, entry, number, 1000 + i);
        if (platform_info(guest.platform).capabilities & TG_CAP_VSYSCALL)
            CHECK_KIND(&guest.event, TG_EVENT_SYSCALL);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.flags & TG_FLAG_VSYSCALL, 0);
        CHECK_EQ(guest.event.u.syscall.args[0], 1000 + i);
        CHECK_EQ(arch_sp(guest.context), GUEST_STACK_TOP);
    }
    guest_close(&guest);
}

static void vsyscall_gettimeofday(uint32_t backend)
{
    check_vsyscall(backend, 0, SYS_gettimeofday);
}

static void vsyscall_time(uint32_t backend)
{
    check_vsyscall(backend, 1, SYS_time);
}

static void vsyscall_getcpu(uint32_t backend)
{
    check_vsyscall(backend, 2, SYS_getcpu);
}

/* Whatever the entry, the guest's memory is written by the embedder alone. */
static void vsyscall_writes_nothing(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(vsyscall_loop));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + 8);
    arch_set_argument(guest.context, 2, VSYSCALL_PAGE);
    serve_vsyscall(&guest, VSYSCALL_PAGE, SYS_gettimeofday, 0);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT), 0);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT + 8), 0);
    guest_close(&guest);
}

static void vsyscall_restarts(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(vsyscall_loop));
    if (!(platform_info(guest.platform).capabilities & TG_CAP_VSYSCALL))
        SKIP("vsyscalls come as faults here");
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + 8);
    arch_set_argument(guest.context, 2, VSYSCALL_PAGE + VSYSCALL_STRIDE);
    for (i = 0; i < 3; i++) {
        guest_run(&guest);
        CHECK_CALL(&guest.event, SYS_time);
        CHECK_EQ(guest.event.flags & TG_FLAG_VSYSCALL, TG_FLAG_VSYSCALL);
        CHECK_OK(tg_context_set_return(guest.context, -EINTR));
        if (i < 2)
            CHECK_OK(tg_context_restart_syscall(guest.context));
    }
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], -EINTR);
    CHECK_EQ(arch_sp(guest.context), GUEST_STACK_TOP);
    guest_close(&guest);
}

/* The middle of the page is no entry. */
static void vsyscall_elsewhere(uint32_t backend)
{
    static const uint64_t offsets[] = {1, 0x10, 0x401, 0xc00, 0xff8};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(jump));
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        check_context("offset 0x%llx", (unsigned long long)offsets[i]);
        guest_restart(&guest);
        arch_set_argument(guest.context, 0, VSYSCALL_PAGE + offsets[i]);
        guest_run(&guest);
        /* A kernel that emulates the page says only that this is no entry. */
        if (guest.event.kind == TG_EVENT_EXCEPTION) {
            CHECK_EXCEPTION(&guest.event, SIGSEGV, SI_KERNEL);
        } else {
            CHECK_FAULT(&guest.event, VSYSCALL_PAGE + offsets[i], TG_ACCESS_EXEC, SIGSEGV, guest.event.u.fault.code);
        }
        CHECK_EQ(arch_ip(guest.context), VSYSCALL_PAGE + offsets[i]);
    }
    guest_close(&guest);
}

const struct test_case compat_cases[] = {
    {"compat.int80", "int 0x80 is told apart, with the number and arguments of the 32-bit table", int80},
    {"compat.int80_narrow", "Its arguments are 32 bits wide, the registers stay whole", int80_is_narrow},
    {"compat.int80_result", "Its results reach the guest, restart codes included", int80_results},
    {"compat.int80_restart", "It can be restarted", int80_restarts},
    {"compat.mixed", "Native and compat calls of one context do not colour each other", entries_mix},
    {"compat.code32", "32-bit code runs, calls, and goes on in 32-bit mode", code_of_32_bits},
    {"compat.code32_stub", "A stub thread left in 32-bit mode serves memory operations and other contexts",
     stub_after_32_bits},
    {"compat.x32", "x32 calls carry their bit and their flag", x32},
    {"compat.x32_filtered",
     "A filter of the embedder's that ends a thread for one costs the guest its life, and hangs nobody", x32_filtered},
    {"compat.sysenter", "sysenter is a compat call or an undefined instruction, as natively", sysenter},
    {"vsyscall.gettimeofday", "The vsyscall entry of gettimeofday is served by the embedder", vsyscall_gettimeofday},
    {"vsyscall.time", "The vsyscall entry of time is served by the embedder", vsyscall_time},
    {"vsyscall.getcpu", "The vsyscall entry of getcpu is served by the embedder", vsyscall_getcpu},
    {"vsyscall.writes_nothing", "The host writes nothing into the guest for such a call", vsyscall_writes_nothing},
    {"vsyscall.restart", "Such a call can be restarted", vsyscall_restarts},
    {"vsyscall.elsewhere", "The rest of the vsyscall page is a fetch fault or a protection error", vsyscall_elsewhere},
    {0},
};
