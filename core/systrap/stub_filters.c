/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Each program is a prefix (filter_origin.h) and the rules that libseccomp makes.
 * libseccomp knows numbers and arguments but not where a call comes from,
 * and that is what separates stub code from a guest. So the prefix traps
 * every call that no instruction of stub code makes, and the rest of the
 * program says which calls stub code may make.
 *
 * Arguments are compared in all 64 bits, also where the kernel takes an int
 * and drops the upper half: nothing with another upper half is needed, so
 * nothing with another upper half has to be thought about.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "core/filter_origin.h"
#include "core/filter_program.h"
#include "core/systrap/stub_filters.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A region that is aligned to its size crosses no border of 4 GiB, but its end may be one: no text ends there. */
static bool layout_valid(const struct stub_filter_layout *layout)
{
    const uint64_t text_start = layout->text_start - layout->region_start;
    const uint64_t text_end = layout->text_end - layout->region_start;
    const uint64_t guest_program = layout->guest_program - layout->region_start;

    return layout->region_start % STUB_REGION_SIZE == 0 && text_end < STUB_REGION_SIZE && text_start < text_end &&
           guest_program <= STUB_REGION_SIZE - sizeof(struct sock_fprog);
}

/* What a worker needs to come back from its signal handler, to wait for orders and to end; all that GUEST allows. */
static int add_worker_rules(scmp_filter_ctx filter, const struct stub_filter_layout *layout)
{
    /*
     * Words that stub and embedder share lie in the region, and are shared
     * between processes: without the PRIVATE flag, and no other operation.
     */
    const struct scmp_arg_cmp in_region = SCMP_A0_64(SCMP_CMP_MASKED_EQ, ~(STUB_REGION_SIZE - 1), layout->region_start);
    const struct filter_rule rules[] = {
        {SCMP_ACT_ALLOW, SCMP_SYS(rt_sigreturn), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(futex), 2, {in_region, SCMP_A1_64(SCMP_CMP_EQ, FUTEX_WAIT, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(futex), 2, {in_region, SCMP_A1_64(SCMP_CMP_EQ, FUTEX_WAKE, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(sched_yield), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(restart_syscall), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(exit), 0, {{0}}},
    };

    return filter_add_rules(filter, rules, COUNT(rules));
}

/* The orders of the syscall thread. It runs no guest code and takes them from memory that no guest can write. */
static int add_memory_rules(scmp_filter_ctx filter)
{
    const struct filter_rule rules[] = {
        /* Only where the embedder says: the kernel never chooses an address. */
        {SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, {SCMP_A3_64(SCMP_CMP_MASKED_EQ, UPPER_HALF | MAP_FIXED, MAP_FIXED)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(mmap),
         1,
         {SCMP_A3_64(SCMP_CMP_MASKED_EQ, UPPER_HALF | MAP_FIXED_NOREPLACE, MAP_FIXED_NOREPLACE)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(munmap), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(mremap), 1, {SCMP_A3_64(SCMP_CMP_EQ, MREMAP_MAYMOVE | MREMAP_FIXED, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(lseek), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(pread64), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(pwrite64), 0, {{0}}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(membarrier),
         1,
         {SCMP_A0_64(SCMP_CMP_EQ, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(membarrier),
         1,
         {SCMP_A0_64(SCMP_CMP_EQ, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0)}},
    };

    return filter_add_rules(filter, rules, COUNT(rules));
}

/* How stub processes and workers begin and end. */
static int add_life_rules(scmp_filter_ctx filter, const struct stub_filter_layout *layout)
{
    const struct filter_rule rules[] = {
        {SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, {SCMP_A0_64(SCMP_CMP_EQ, SYSTRAP_CLONE_PROCESS_FLAGS, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, {SCMP_A0_64(SCMP_CMP_EQ, SYSTRAP_CLONE_WORKER_FLAGS, 0)}},
        {SCMP_ACT_ALLOW,
         SCMP_SYS(prctl),
         2,
         {SCMP_A0_64(SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0), SCMP_A1_64(SCMP_CMP_EQ, SIGKILL, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(getppid), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(sigaltstack), 0, {{0}}},
        {SCMP_ACT_ALLOW, SCMP_SYS(rt_sigprocmask), 0, {{0}}},
        /* A worker, of itself, as the platform says. */
        {SCMP_ACT_ALLOW,
         SCMP_SYS(sched_setaffinity),
         2,
         {SCMP_A0_64(SCMP_CMP_EQ, 0, 0), SCMP_A2_64(SCMP_CMP_EQ, layout->cpus, 0)}},
        /* GUEST and no other program; without flags, so that it has no listener and reaches no other thread. */
        {SCMP_ACT_ALLOW,
         SCMP_SYS(seccomp),
         3,
         {SCMP_A0_64(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER, 0), SCMP_A1_64(SCMP_CMP_EQ, 0, 0),
          SCMP_A2_64(SCMP_CMP_EQ, layout->guest_program, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0, {{0}}},
    };

    return filter_add_rules(filter, rules, COUNT(rules));
}

static int build_program(const struct stub_filter_layout *layout, bool for_guests, struct sock_fprog *program)
{
    struct sock_filter prefix[FILTER_ORIGIN_LENGTH];
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    int err;

    if (!filter)
        return FILTER_NO_SECCOMP;
    filter_origin(layout->text_start, layout->text_end, SECCOMP_RET_TRAP, prefix);
    /* Stub code in the wrong mode of the processor is a guest that jumped there: an event, and no death. */
    /* Each unpatched call needs the first, each sleep the second: they are asked for before the others. */
    seccomp_syscall_priority(filter, SCMP_SYS(rt_sigreturn), 255);
    seccomp_syscall_priority(filter, SCMP_SYS(futex), 200);
    err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP);
    if (!err)
        err = add_worker_rules(filter, layout);
    if (!err && !for_guests)
        err = add_memory_rules(filter);
    if (!err && !for_guests)
        err = add_life_rules(filter, layout);
    if (!err)
        err = filter_program_export(filter, prefix, FILTER_ORIGIN_LENGTH, program);
    seccomp_release(filter);
    return err;
}

int stub_filters_build(const struct stub_filter_layout *layout, struct sock_fprog *base, struct sock_fprog *guest)
{
    int err;

    *base = *guest = (struct sock_fprog){0};
    if (!layout_valid(layout))
        return -EINVAL;
    err = build_program(layout, false, base);
    if (err)
        return err;
    err = build_program(layout, true, guest);
    if (err) {
        free(base->filter);
        *base = (struct sock_fprog){0};
    }
    return err;
}
