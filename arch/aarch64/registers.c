/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* General registers: a new thread's values, what may be set, what a stop means. */
#include <errno.h>
#include <linux/audit.h>
#include <string.h>

#include "aarch64.h"

/* What the kernel lets a thread have of PSTATE: N, Z, C, V, TCO, DIT, SS, SSBS and BTYPE. The mode is EL0t, which is 0.
 */
#define PSTATE_ALLOWED (0xf0000000ull | 1ull << 25 | 1ull << 24 | A64_PSTATE_SS | 1ull << 12 | 3ull << 10)

void a64_regs_init(tg_regs *regs)
{
    memset(regs, 0, sizeof(*regs));
    regs->size = sizeof(*regs);
    regs->arch = AUDIT_ARCH_AARCH64;
}

int a64_regs_check(const tg_regs *regs)
{
    return regs->pstate & ~PSTATE_ALLOWED ? -EINVAL : 0;
}

/* The kernel may have put a result into x0, and taken argument 0 for a restart code and moved pc: both as they were. */
void a64_regs_stopped(tg_regs *regs, const struct arch_syscall *syscall)
{
    regs->pstate &= PSTATE_ALLOWED;
    if (!syscall)
        return;
    regs->x[0] = syscall->args[0];
    regs->pc = syscall->ip;
}

/* The kernel knows by the request whether it steps, and the bit would not outlive the first step. */
void a64_regs_resumed(tg_regs *regs)
{
    regs->pstate &= ~A64_PSTATE_SS;
}

void a64_regs_fetched(tg_regs *regs, bool stepping)
{
    regs->pstate = stepping ? regs->pstate | A64_PSTATE_SS : regs->pstate & ~A64_PSTATE_SS;
}

bool a64_single_stepping(const tg_regs *regs)
{
    return regs->pstate & A64_PSTATE_SS;
}

uint64_t a64_ip(const tg_regs *regs)
{
    return regs->pc;
}

void a64_set_start(tg_regs *regs, uint64_t ip, uint64_t sp)
{
    regs->pc = ip;
    regs->sp = sp;
}

int64_t a64_result(const tg_regs *regs)
{
    return (int64_t)regs->x[0];
}

void a64_set_return(tg_regs *regs, int64_t value)
{
    regs->x[0] = (uint64_t)value;
}

uint64_t a64_tls(const tg_regs *regs)
{
    return regs->tpidr_el0;
}

int a64_set_tls(tg_regs *regs, uint64_t value)
{
    regs->tpidr_el0 = value;
    return 0;
}
