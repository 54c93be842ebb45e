/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ways into the kernel other than the native one: compat entries, x32, and
 * the vsyscall page, whose three functions are calls by address.
 */
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/syscall.h>

#include "x86_64.h"

#define X32_SYSCALL_BIT  0x40000000u
#define SYSCALL_LENGTH   2 /* syscall, sysenter and int 0x80 alike */
#define SYS_SECCOMP_CODE 1

static const struct {
    uint64_t addr;
    uint64_t nr;
} vsyscalls[] = {
    {0xffffffffff600000ull, SYS_gettimeofday},
    {0xffffffffff600400ull, SYS_time},
    {0xffffffffff600800ull, SYS_getcpu},
};

void x86_syscall_entered(struct arch_syscall *syscall)
{
    if (syscall->arch == AUDIT_ARCH_I386) {
        syscall->flags = TG_FLAG_COMPAT;
        syscall->nr = (uint32_t)syscall->nr;
        for (size_t i = 0; i < sizeof(syscall->args) / sizeof(syscall->args[0]); i++)
            syscall->args[i] = (uint32_t)syscall->args[i];
    } else {
        /* The kernel takes the lower half of the register, with its sign. */
        syscall->nr = (uint64_t)(int64_t)(int32_t)syscall->nr;
        /* Negative numbers have the bit too, and are no x32 calls. */
        syscall->flags = ((uint32_t)syscall->nr & X32_SYSCALL_BIT) && (int32_t)syscall->nr > 0 ? TG_FLAG_X32 : 0;
    }
}

static void fill_from_regs(const tg_regs *regs, uint64_t nr, struct arch_syscall *out)
{
    out->nr = nr;
    out->args[0] = regs->rdi;
    out->args[1] = regs->rsi;
    out->args[2] = regs->rdx;
    out->args[3] = regs->r10;
    out->args[4] = regs->r8;
    out->args[5] = regs->r9;
    out->ip = regs->rip;
    out->arch = AUDIT_ARCH_X86_64;
    out->flags = TG_FLAG_VSYSCALL;
}

/* The kernel emulates the page, the stub's filter stopped the call: it has returned to the caller already. */
static bool trapped_vsyscall(const tg_regs *regs, const siginfo_t *info, struct arch_syscall *out)
{
    for (size_t i = 0; i < sizeof(vsyscalls) / sizeof(vsyscalls[0]); i++) {
        if ((uint64_t)(uintptr_t)info->si_call_addr == vsyscalls[i].addr &&
            (uint64_t)(uint32_t)info->si_syscall == vsyscalls[i].nr) {
            fill_from_regs(regs, vsyscalls[i].nr, out);
            return true;
        }
    }
    return false;
}

/* There is no vsyscall page (vsyscall=none): the fetch faulted; do the return that the page would have done. */
static bool faulted_vsyscall(tg_regs *regs, const struct arch_guest *guest, struct arch_syscall *out)
{
    uint64_t caller;

    for (size_t i = 0; i < sizeof(vsyscalls) / sizeof(vsyscalls[0]); i++) {
        if (regs->rip != vsyscalls[i].addr)
            continue;
        if (guest->read(guest->arg, regs->rsp, &caller, sizeof(caller)) != sizeof(caller))
            return false;
        regs->rip = caller;
        regs->rsp += sizeof(caller);
        fill_from_regs(regs, vsyscalls[i].nr, out);
        return true;
    }
    return false;
}

bool x86_syscall_from_signal(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                             struct arch_syscall *out)
{
    if (info->si_signo == SIGSYS && info->si_code == SYS_SECCOMP_CODE)
        return trapped_vsyscall(regs, info, out);
    if (info->si_signo == SIGSEGV)
        return faulted_vsyscall(regs, guest, out);
    return false;
}

static int restart_vsyscall(tg_regs *regs, const struct arch_syscall *syscall)
{
    for (size_t i = 0; i < sizeof(vsyscalls) / sizeof(vsyscalls[0]); i++) {
        if (syscall->nr == vsyscalls[i].nr) {
            /* The return address is still below the stack pointer, where the guest's call has put it. */
            regs->rip = vsyscalls[i].addr;
            regs->rsp -= sizeof(uint64_t);
            return 0;
        }
    }
    return -EINVAL;
}

int x86_restart_syscall(tg_regs *regs, const struct arch_syscall *syscall)
{
    if (regs->rip != syscall->ip)
        return -EINVAL;
    if (syscall->flags & TG_FLAG_VSYSCALL)
        return restart_vsyscall(regs, syscall);
    regs->rip -= SYSCALL_LENGTH;
    regs->rax = syscall->nr;
    return 0;
}
