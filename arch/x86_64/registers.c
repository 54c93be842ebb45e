/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* General registers: a new thread's values, what may be set, what a stop means. */
#include <errno.h>
#include <linux/audit.h>
#include <string.h>

#include "x86_64.h"

#define EFLAGS_ALWAYS     0x202ull /* bit 1 is fixed, interrupts are on */
#define SELECTOR_USER_RPL 3

void x86_regs_init(tg_regs *regs)
{
    memset(regs, 0, sizeof(*regs));
    regs->size = sizeof(*regs);
    regs->arch = AUDIT_ARCH_X86_64;
    regs->orig_rax = UINT64_MAX;
    regs->cs = X86_USER_CS;
    regs->ss = X86_USER_DS;
    regs->eflags = EFLAGS_ALWAYS;
}

/* The kernel takes a null selector or one of user privilege, and not more than 16 bits. */
static bool selector_ok(uint64_t selector, bool null_allowed)
{
    if (selector > UINT16_MAX)
        return false;
    if (selector == 0)
        return null_allowed;
    return (selector & SELECTOR_USER_RPL) == SELECTOR_USER_RPL;
}

int x86_regs_check(const tg_regs *regs)
{
    if (!selector_ok(regs->cs, false) || !selector_ok(regs->ss, false))
        return -EINVAL;
    if (!selector_ok(regs->ds, true) || !selector_ok(regs->es, true) || !selector_ok(regs->fs, true) ||
        !selector_ok(regs->gs, true))
        return -EINVAL;
    if (regs->fs_base >= X86_USER_END || regs->gs_base >= X86_USER_END)
        return -EINVAL;
    return 0;
}

/*
 * A guest can load null selectors with privilege bits, and with FSGSBASE bases
 * in the kernel's half. The kernel refuses both when they are set again, and
 * neither is of any use: they become what has the same effect.
 */
static void make_restorable(tg_regs *regs)
{
    uint64_t *const selectors[] = {&regs->ds, &regs->es, &regs->fs, &regs->gs};
    uint64_t *const bases[] = {&regs->fs_base, &regs->gs_base};

    for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
        if ((*selectors[i] & ~(uint64_t)SELECTOR_USER_RPL) == 0)
            *selectors[i] = 0;
        else
            *selectors[i] |= SELECTOR_USER_RPL;
    }
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        if (*bases[i] >= X86_USER_END)
            *bases[i] = X86_USER_END - 1;
    }
}

void x86_regs_stopped(tg_regs *regs, const struct arch_syscall *syscall)
{
    make_restorable(regs);
    if (syscall) {
        /* The kernel has put -ENOSYS there already; the guest's own value is kept beside. */
        regs->rax = syscall->flags & TG_FLAG_VSYSCALL ? syscall->nr : regs->orig_rax;
        regs->orig_rax = syscall->nr;
    } else {
        regs->orig_rax = UINT64_MAX;
    }
}

void x86_regs_resumed(tg_regs *regs)
{
    /* In no system call: else the kernel takes -512 to -516 in rax for restart codes of its own. */
    regs->orig_rax = UINT64_MAX;
}

bool x86_single_stepping(const tg_regs *regs)
{
    return regs->eflags & X86_EFLAGS_TF;
}

uint64_t x86_ip(const tg_regs *regs)
{
    return regs->rip;
}

void x86_set_start(tg_regs *regs, uint64_t ip, uint64_t sp)
{
    regs->rip = ip;
    regs->rsp = sp;
}

int64_t x86_result(const tg_regs *regs)
{
    return (int64_t)regs->rax;
}

void x86_set_return(tg_regs *regs, int64_t value)
{
    regs->rax = (uint64_t)value;
}

const uint8_t x86_call_code[X86_CALL_CODE_LENGTH] = {0x0f, 0x05, 0x0f, 0x0b};

void x86_set_call(tg_regs *regs, uint64_t nr)
{
    regs->rax = nr;
}

uint64_t x86_tls(const tg_regs *regs)
{
    return regs->fs_base;
}

int x86_set_tls(tg_regs *regs, uint64_t value)
{
    if (value >= X86_USER_END)
        return -EINVAL;
    regs->fs_base = value;
    return 0;
}
