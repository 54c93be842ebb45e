/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Other ways into the kernel that depend on the machine or on a filter. The rest is rows. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "../cases.h"
#include "arch.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "native.h"

#define I386_GETPID 20
#define X32_BIT     0x40000000

static void check_compat(const struct guest *guest, uint64_t number)
{
    CHECK_CALL(&guest->event, number);
    CHECK_EQ(guest->event.flags & (TG_FLAG_COMPAT | TG_FLAG_X32), TG_FLAG_COMPAT);
    CHECK_EQ(guest->event.arch, AUDIT_ARCH_I386);
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

const struct test_case compat_cases[] = {
    {"compat.x32_filtered",
     "A filter of the embedder's that ends a thread for one costs the guest its life, and hangs nobody", x32_filtered},
    {"compat.sysenter", "sysenter is a compat call or an undefined instruction, as natively", sysenter},
    {0},
};
