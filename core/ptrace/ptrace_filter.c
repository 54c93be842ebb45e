/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The seccomp program of every stub. While a thread is traced the kernel runs
 * no call of the guest's at all; this program is for injected calls, for
 * parked threads, and against a guest that some mistake lets run untraced:
 * what changes anything needs the platform's cookie (stub/protocol.h), which
 * no guest can know.
 *
 * Where PTRACE_SYSEMU does not do, it is this program too that stops calls
 * (SECCOMP_RET_TRACE): those that do not come from the stub's text, before it
 * looks at anything else, and those from there that it would kill for. The
 * tracer then has the kernel skip the call; where there is no tracer the
 * kernel refuses it by itself, with ENOSYS.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "arch/arch_ptrace.h"
#include "core/filter_origin.h"
#include "core/filter_program.h"
#include "core/ptrace/ptrace_filter.h"
#include "core/ptrace/stub_clone.h"

/* Calls that change something, each with the cookie. */
static int add_secret_rules(scmp_filter_ctx filter, uint64_t cookie)
{
    const struct filter_rule rules[] = {
        {SCMP_ACT_ALLOW,
         SCMP_SYS(mmap),
         2,
         {SCMP_A3_64(SCMP_CMP_MASKED_EQ, UPPER_HALF, cookie & UPPER_HALF),
          SCMP_A4_64(SCMP_CMP_MASKED_EQ, UPPER_HALF, cookie << 32)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(munmap), 1, {SCMP_A2_64(SCMP_CMP_EQ, cookie, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, {SCMP_A3_64(SCMP_CMP_EQ, cookie, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), 1, {SCMP_A3_64(SCMP_CMP_EQ, cookie, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(mremap),
         2,
         {SCMP_A3_64(SCMP_CMP_EQ, MREMAP_MAYMOVE | MREMAP_FIXED, 0), SCMP_A5_64(SCMP_CMP_EQ, cookie, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(clone),
         2,
         {SCMP_A0_64(SCMP_CMP_EQ, STUB_CLONE_THREAD_FLAGS, 0), SCMP_A5_64(SCMP_CMP_EQ, cookie, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(clone),
         2,
         {SCMP_A0_64(SCMP_CMP_EQ, STUB_CLONE_PROCESS_FLAGS, 0), SCMP_A5_64(SCMP_CMP_EQ, cookie, 0)}},
    };

    return filter_add_rules(filter, rules, sizeof(rules) / sizeof(rules[0]));
}

/* What stub code needs when nobody is there to help it; harmless to the host whoever calls it. */
static int add_harmless_rules(scmp_filter_ctx filter)
{
    const struct filter_rule rules[] = {
        {SCMP_ACT_ALLOW, SCMP_SYS(ppoll), 2, {SCMP_A0_64(SCMP_CMP_EQ, 0, 0), SCMP_A1_64(SCMP_CMP_EQ, 0, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(prctl),
         2,
         {SCMP_A0_64(SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0), SCMP_A1_64(SCMP_CMP_EQ, SIGKILL, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(prctl),
         2,
         {SCMP_A0_64(SCMP_CMP_EQ, PR_PAC_RESET_KEYS, 0), SCMP_A1_64(SCMP_CMP_EQ, 0, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(getppid), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(restart_syscall), 0, {{0}}},
    };

    return filter_add_rules(filter, rules, sizeof(rules) / sizeof(rules[0]));
}

/* A guest's calls that do not pass ptrace do pass here: SIGSYS makes events of them. */
static int add_unseen_rules(scmp_filter_ctx filter)
{
    int err = 0;

    for (size_t i = 0; i < tgi_arch_ptrace->unseen_call_count && !err; i++) {
        const struct filter_rule rule = {SCMP_ACT_TRAP, tgi_arch_ptrace->unseen_calls[i], 0, {{0}}};

        err = filter_add_rules(filter, &rule, 1);
    }
    return err;
}

int ptrace_filter_build(uint64_t cookie, uint64_t text_start, uint64_t text_end, struct sock_fprog *program)
{
    const bool stops_calls = tgi_arch_ptrace->call_note;
    struct sock_filter prefix[FILTER_ORIGIN_LENGTH];
    scmp_filter_ctx filter = seccomp_init(stops_calls ? SCMP_ACT_TRACE(0) : SCMP_ACT_KILL_PROCESS);
    int err;

    *program = (struct sock_fprog){0};
    if (!filter)
        return FILTER_NO_SECCOMP;
    err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!err)
        err = add_secret_rules(filter, cookie);
    if (!err)
        err = add_harmless_rules(filter);
    if (!err)
        err = add_unseen_rules(filter);
    filter_origin(text_start, text_end, SECCOMP_RET_TRACE, prefix);
    if (!err)
        err = filter_program_export(filter, prefix, stops_calls ? FILTER_ORIGIN_LENGTH : 0, program);
    seccomp_release(filter);
    return err;
}
