/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Thread-local storage, segments, flags, and register values that the processor does not take. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "../cases.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "native.h"
#include "threads.h"

#define NONCANONICAL   0x8000000000000000ull
#define KERNEL_ADDRESS 0xffff888000000000ull
#define USER_DATA      0x2b
#define USER_CODE      0x33
#define FLAG_CF        0x1
#define FLAG_DF        0x400
#define FLAG_OF        0x800
#define FLAG_IOPL      0x3000

GUEST_DECLARE(raise_noncanonical_ss);

static void tls_is_kept(uint32_t backend)
{
    struct guest guest;
    uint64_t tls;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(read_fs_gs));
    for (i = 0; i < 8; i++)
        guest_store(guest.subprocess, GUEST_DATA_AT + 8 * i, 100 + i);
    for (i = 0; i < 8; i++) {
        CHECK_OK(tg_context_set_tls(guest.context, GUEST_DATA_AT + 8 * i));
        tg_context_regs_mut(guest.context)->gs_base = GUEST_DATA_AT + 8 * (7 - i);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], 100 + i);
        CHECK_EQ(guest.event.u.syscall.args[1], 107 - i);
        CHECK_OK(tg_context_get_tls(guest.context, &tls));
        CHECK_EQ(tls, GUEST_DATA_AT + 8 * i);
        CHECK_EQ(tg_context_regs(guest.context)->fs_base, tls);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT + 8 * (7 - i));
    }
    guest_close(&guest);
}

static void *run_to_call(void *argument)
{
    struct guest *guest = argument;

    GUEST_RUN_TO_CALL(guest);
    return NULL;
}

/* Contexts with different bases take turns, on one and on several threads. */
static void tls_of_many_contexts(uint32_t backend)
{
    enum { CONTEXTS = 8 };
    struct guest guest;
    struct guest each[CONTEXTS];
    uint64_t i;
    int round;

    guest_open(&guest, backend, GUEST_CODE(read_fs_gs));
    for (i = 0; i < CONTEXTS; i++) {
        each[i] = guest;
        each[i].context = create_started_context(guest.platform);
        guest_store(guest.subprocess, GUEST_DATA_AT + 8 * i, 100 + i);
        CHECK_OK(tg_context_set_tls(each[i].context, GUEST_DATA_AT + 8 * i));
        tg_context_regs_mut(each[i].context)->gs_base = GUEST_DATA_AT + 8 * i;
    }
    for (round = 0; round < 4; round++) {
        for (i = 0; i < CONTEXTS; i++) {
            if (round % 2)
                run_in_thread(run_to_call, &each[i]);
            else
                GUEST_RUN_TO_CALL(&each[i]);
            CHECK_EQ(each[i].event.u.syscall.args[0], 100 + i);
            CHECK_EQ(each[i].event.u.syscall.args[1], 100 + i);
        }
    }
    for (i = 0; i < CONTEXTS; i++)
        tg_context_destroy(each[i].context);
    guest_close(&guest);
}

static void guest_sets_its_bases(uint32_t backend)
{
    struct guest guest;
    uint64_t tls;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no wrfsbase in user mode");
    guest_open(&guest, backend, GUEST_CODE(write_bases));
    guest_store(guest.subprocess, GUEST_DATA_AT + 8, 8);
    guest_store(guest.subprocess, GUEST_DATA_AT + 16, 16);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT + 8);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + 16);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_get_tls(guest.context, &tls));
    CHECK_EQ(tls, GUEST_DATA_AT + 8);
    CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT + 16);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 8);
    CHECK_EQ(guest.event.u.syscall.args[1], 16);
    guest_close(&guest);
}

/*
 * With the instruction a guest can point fs anywhere canonical, the kernel's half included. What a guest does is never
 * an error of the embedder's calls.
 */
static void guest_sets_a_kernel_base(uint32_t backend)
{
    struct guest guest;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no wrfsbase in user mode");
    guest_open(&guest, backend, GUEST_CODE(write_bad_base));
    arch_set_argument(guest.context, 0, KERNEL_ADDRESS);
    GUEST_RUN_TO_CALL(&guest);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    GUEST_RUN_TO_CALL(&guest);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    arch_set_argument(guest.context, 0, NONCANONICAL);
    guest_run(&guest);
    /* Some emulated processors take even that. */
    if (guest.event.kind != TG_EVENT_SYSCALL)
        CHECK_EXCEPTION(&guest.event, SIGSEGV, SI_KERNEL);
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* The processor takes selectors that ptrace(2) would not: null ones of any privilege level, data ones of level 0. */
static void guest_loads_odd_selectors(uint32_t backend)
{
    static const uint64_t odd[] = {1, 2, 3, USER_DATA & ~3ull, USER_DATA & ~1ull};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(load_segments));
    for (i = 0; i < ARRAY_SIZE(odd); i++) {
        check_context("selector 0x%llx", (unsigned long long)odd[i]);
        guest_restart(&guest);
        arch_set_argument(guest.context, 0, odd[i]);
        GUEST_RUN_TO_CALL(&guest);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

static void bad_tls_is_refused(uint32_t backend)
{
    static const uint64_t bad[] = {NONCANONICAL, KERNEL_ADDRESS, ~0ull};
    struct guest guest;
    tg_event event = new_event();
    unsigned int i;
    uint64_t tls;

    guest_open(&guest, backend, GUEST_CODE(read_fs_gs));
    CHECK_OK(tg_context_set_tls(guest.context, GUEST_DATA_AT));
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        check_context("0x%llx", (unsigned long long)bad[i]);
        CHECK_RESULT(tg_context_set_tls(guest.context, bad[i]), -EINVAL);
        CHECK_OK(tg_context_get_tls(guest.context, &tls));
        CHECK_EQ(tls, GUEST_DATA_AT);
        tg_context_regs_mut(guest.context)->fs_base = bad[i];
        CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &event), -EINVAL);
        tg_context_regs_mut(guest.context)->fs_base = GUEST_DATA_AT;
        tg_context_regs_mut(guest.context)->gs_base = bad[i];
        CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &event), -EINVAL);
        tg_context_regs_mut(guest.context)->gs_base = GUEST_DATA_AT;
    }
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

static void segment_registers(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(read_segments));
    for (i = 0; i < 3; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[4], USER_CODE);
        CHECK_EQ(guest.event.u.syscall.args[5], USER_DATA);
        CHECK_EQ(tg_context_regs(guest.context)->cs, USER_CODE);
        CHECK_EQ(tg_context_regs(guest.context)->ss, USER_DATA);
    }
    guest_close(&guest);
}

static void loaded_segments_are_kept(uint32_t backend)
{
    struct guest guest;
    struct guest other;

    guest_open(&guest, backend, GUEST_CODE(load_segments));
    other = guest;
    other.context = create_started_context(guest.platform);
    arch_set_argument(guest.context, 0, USER_DATA);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(tg_context_regs(guest.context)->ds, USER_DATA);
    /* Another context loads the null selector in between. */
    GUEST_RUN_TO_CALL(&other);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], USER_DATA);
    CHECK_EQ(guest.event.u.syscall.args[1], USER_DATA);
    GUEST_RUN_TO_CALL(&other);
    CHECK_EQ(other.event.u.syscall.args[0], 0);
    tg_context_destroy(other.context);
    guest_close(&guest);
}

static void flags_are_kept(uint32_t backend)
{
    static const uint64_t wanted[] = {0, FLAG_CF, FLAG_DF, FLAG_OF, FLAG_CF | FLAG_DF | FLAG_OF};
    const uint64_t watched = FLAG_CF | FLAG_DF | FLAG_OF;
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(keep_flags));
    for (i = 0; i < ARRAY_SIZE(wanted); i++) {
        arch_set_argument(guest.context, 0, wanted[i] | 0x202);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(tg_context_regs(guest.context)->eflags & watched, wanted[i]);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0] & watched, wanted[i]);
    }
    guest_close(&guest);
}

/* Flags that would give a guest rights are refused or dropped, never taken. */
static void flags_give_no_rights(uint32_t backend)
{
    struct guest guest;
    tg_event event = new_event();
    int result;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    tg_context_regs_mut(guest.context)->eflags |= FLAG_IOPL;
    result = tg_context_switch(guest.context, guest.subprocess, &event);
    CHECK(result == 0 || result == -EINVAL);
    if (result == 0)
        CHECK_EQ(tg_context_regs(guest.context)->eflags & FLAG_IOPL, 0);
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* As rt_sigreturn needs it: the embedder sets rcx and r11 at a call, and the guest sees them. */
static void embedder_sets_rcx_r11(uint32_t backend)
{
    struct guest guest;
    tg_regs *regs;

    guest_open(&guest, backend, GUEST_CODE(echo_rcx_r11));
    tg_context_regs_mut(guest.context)->r12 = GUEST_CALL;
    GUEST_RUN_TO_CALL(&guest);
    regs = tg_context_regs_mut(guest.context);
    regs->rcx = 0x1122334455667788;
    regs->r11 = 0x99aabbccddeeff00;
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 0x1122334455667788);
    CHECK_EQ(guest.event.u.syscall.args[1], 0x99aabbccddeeff00);
    guest_close(&guest);
}

/* Untouched, they are what the instruction leaves: the address behind it, and the flags. */
static void call_leaves_rcx_r11(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(echo_rcx_r11));
    tg_context_regs_mut(guest.context)->r12 = GUEST_CALL;
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(tg_context_regs(guest.context)->rcx, guest.event.u.syscall.ip);
    CHECK_EQ(tg_context_regs(guest.context)->r11, tg_context_regs(guest.context)->eflags);
    guest_close(&guest);
}

static void bad_instruction_pointers(uint32_t backend)
{
    static const uint64_t bad[] = {NONCANONICAL, 0x0000800000000000, 0x00007ffffffff000, KERNEL_ADDRESS, ~0ull};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        check_context("ip 0x%llx", (unsigned long long)bad[i]);
        guest_restart(&guest);
        arch_set_ip(guest.context, bad[i]);
        guest_run(&guest);
        if (guest.event.kind == TG_EVENT_FAULT) {
            CHECK_EQ(guest.event.u.fault.signo, SIGSEGV);
            CHECK_EQ(guest.event.u.fault.access, TG_ACCESS_EXEC);
            CHECK_EQ(guest.event.u.fault.ip, bad[i]);
        } else {
            CHECK_EXCEPTION(&guest.event, SIGSEGV, SI_KERNEL);
        }
        guest_restart(&guest);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

/* After a call the kernel would take its fast way out, which some processors cannot do to such addresses. */
static void bad_instruction_pointer_after_call(uint32_t backend)
{
    struct guest guest;
    tg_regs *regs;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    regs = tg_context_regs_mut(guest.context);
    regs->rip = NONCANONICAL;
    regs->rcx = NONCANONICAL;
    guest_run(&guest);
    CHECK_EXCEPTION(&guest.event, SIGSEGV, SI_KERNEL);
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* A call needs no stack, so the pointer may be anything; a push through it is a stack fault. */
static void bad_stack_pointers(uint32_t backend)
{
    static const uint64_t bad[] = {NONCANONICAL, 0x0000800000000000, KERNEL_ADDRESS, ~0ull, 0};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        check_context("sp 0x%llx", (unsigned long long)bad[i]);
        CHECK_OK(tg_context_start(guest.context, GUEST_CODE_AT, bad[i]));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(arch_sp(guest.context), bad[i]);
        GUEST_RUN_TO_CALL(&guest);
    }
    load_code(guest.subprocess, GUEST_CODE_AT, GUEST_CODE(jump_by_return));
    CHECK_OK(tg_context_start(guest.context, GUEST_CODE_AT, NONCANONICAL));
    guest_run(&guest);
    CHECK_EXCEPTION(&guest.event, native_run(GUEST_CODE(raise_noncanonical_ss)).signo, SI_KERNEL);
    guest_close(&guest);
}

/* Selectors that user mode cannot have: refused, or set right; never an error of another kind, never a dead stub. */
static void bad_selectors(uint32_t backend)
{
    static const uint64_t bad[] = {0, 0x10, 0x18, 0xffff, 0x1000033};
    struct guest guest;
    tg_event event;
    unsigned int i;
    int result;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        check_context("selector 0x%llx", (unsigned long long)bad[i]);
        guest_restart(&guest);
        tg_context_regs_mut(guest.context)->cs = bad[i];
        event = new_event();
        result = tg_context_switch(guest.context, guest.subprocess, &event);
        CHECK(result == -EINVAL || (result == 0 && event.kind != TG_EVENT_DEAD));
        guest_restart(&guest);
        tg_context_regs_mut(guest.context)->ss = bad[i];
        event = new_event();
        result = tg_context_switch(guest.context, guest.subprocess, &event);
        CHECK(result == -EINVAL || (result == 0 && event.kind != TG_EVENT_DEAD));
        guest_restart(&guest);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

const struct test_case segment_cases[] = {
    {"segment.tls", "fs and gs bases set by the embedder reach the guest and come back", tls_is_kept},
    {"segment.tls_many", "Contexts with bases of their own take turns on one and on many threads",
     tls_of_many_contexts},
    {"segment.guest_sets_bases", "Bases that the guest sets by instruction are seen and kept", guest_sets_its_bases},
    {"segment.guest_sets_kernel_base", "A base in the kernel's half set by the guest harms nobody",
     guest_sets_a_kernel_base},
    {"segment.guest_loads_odd", "Selectors that the processor takes from a guest and ptrace does not harm nobody",
     guest_loads_odd_selectors},
    {"segment.bad_tls", "Bases that no guest can have are -EINVAL and change nothing", bad_tls_is_refused},
    {"segment.registers", "Code and stack selectors are those of user mode", segment_registers},
    {"segment.loaded", "Selectors that a guest loaded are its own and survive other contexts",
     loaded_segments_are_kept},
    {"segment.flags", "Carry, direction and overflow survive calls", flags_are_kept},
    {"segment.no_rights", "The I/O privilege level cannot be raised through the flags", flags_give_no_rights},
    {"segment.set_rcx_r11", "rcx and r11 set at a call are what the guest sees", embedder_sets_rcx_r11},
    {"segment.call_rcx_r11", "Untouched, rcx and r11 are what the instruction leaves in them", call_leaves_rcx_r11},
    {"segment.bad_ip", "Instruction pointers that cannot be are a fault or an exception of the guest",
     bad_instruction_pointers},
    {"segment.bad_ip_after_call", "The same on the way out of a call", bad_instruction_pointer_after_call},
    {"segment.bad_sp", "A call works with any stack pointer; a push is the guest's stack fault", bad_stack_pointers},
    {"segment.bad_selectors", "Selectors of the kernel are refused or set right, the stub lives", bad_selectors},
    {0},
};
