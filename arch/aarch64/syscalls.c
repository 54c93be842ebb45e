/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a system call is made. */
#include <errno.h>

#include "aarch64.h"

/* svc #0; udf #0 */
const uint8_t a64_call_code[A64_CALL_CODE_LENGTH] = {0x01, 0x00, 0x00, 0xd4, 0x00, 0x00, 0x00, 0x00};

void a64_set_call(tg_regs *regs, uint64_t nr)
{
    regs->x[A64_NUMBER] = nr;
}

/* The kernel takes the lower half of the register, with its sign. */
void a64_syscall_entered(struct arch_syscall *syscall)
{
    syscall->nr = (uint64_t)(int64_t)(int32_t)syscall->nr;
    syscall->flags = 0;
}

/* There is no other way than the instruction. */
bool a64_syscall_from_signal(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                             struct arch_syscall *out)
{
    (void)regs, (void)info, (void)guest, (void)out;
    return false;
}

int a64_restart_syscall(tg_regs *regs, const struct arch_syscall *syscall)
{
    if (regs->pc != syscall->ip)
        return -EINVAL;
    regs->pc -= A64_CALL_LENGTH;
    regs->x[0] = syscall->args[0];
    regs->x[A64_NUMBER] = syscall->nr;
    return 0;
}
