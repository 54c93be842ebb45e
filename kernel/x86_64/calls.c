/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names of the processor, and the calls whose registers or arguments are its own. */
#include "arch.h"

#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

const uint16_t arch_elf_machine = EM_X86_64;
const char arch_name[] = "x86_64";

/* Two thirds of 2^47; 2^28 pages is Linux's default of vm.mmap_rnd_bits. */
const uint64_t arch_program_base = UINT64_C(0x555555554000);
const uint64_t arch_program_range = UINT64_C(1) << 40;

uint64_t arch_stack_pointer(const tg_context *context)
{
    return tg_context_regs(context)->rsp;
}

void arch_clone_request(const uint64_t args[6], struct clone_request *request)
{
    *request = (struct clone_request){
        .flags = args[0], .stack = args[1], .parent_tid = args[2], .child_tid = args[3], .tls = args[4]};
}

void arch_become_child(tg_context *context, uint64_t stack)
{
    tg_regs *regs = tg_context_regs_mut(context);

    regs->rax = 0;
    if (stack)
        regs->rsp = stack;
}

static int64_t do_arch_prctl(struct task *task, const uint64_t args[6])
{
    uint64_t tls = 0;

    switch ((int)args[0]) {
    case ARCH_SET_FS:
        return tg_context_set_tls(task->context, args[1]) ? -EPERM : 0;
    case ARCH_GET_FS:
        tg_context_get_tls(task->context, &tls);
        return guest_write_u64(task_memory(task), args[1], tls);
    case ARCH_SET_GS:
        if (args[1] >= task->sandbox->info.user_end)
            return -EPERM;
        tg_context_regs_mut(task->context)->gs_base = args[1];
        return 0;
    case ARCH_GET_GS:
        return guest_write_u64(task_memory(task), args[1], tg_context_regs(task->context)->gs_base);
    default:
        return -EINVAL;
    }
}

const struct syscall_entry arch_syscalls[] = {
    {SYS_arch_prctl, "arch_prctl", do_arch_prctl},
};
const size_t arch_syscalls_count = sizeof(arch_syscalls) / sizeof(arch_syscalls[0]);
