/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../bare_trap.h"

#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "../../guest_programs.h"

#define HANDLER_STACK_SIZE 65536
#define KERNEL_SA_RESTORER 0x04000000

/* What rt_sigaction(2) itself takes: the C library would put its own restorer into it. */
struct kernel_sigaction {
    bare_handler *handler;
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

const unsigned bare_result_register = REG_RAX;

void bare_registers_out(const void *ucontext, uint64_t registers[BARE_REGISTER_COUNT])
{
    const greg_t *from = ((const ucontext_t *)ucontext)->uc_mcontext.gregs;

    for (unsigned i = 0; i < NGREG; i++)
        registers[i] = (uint64_t)from[i];
}

void bare_registers_in(void *ucontext, const uint64_t registers[BARE_REGISTER_COUNT])
{
    greg_t *to = ((ucontext_t *)ucontext)->uc_mcontext.gregs;

    for (unsigned i = 0; i <= REG_EFL; i++)
        to[i] = (greg_t)registers[i];
}

bool bare_handle(int signo, bare_handler *handler)
{
    struct kernel_sigaction action = {
        .handler = handler,
        .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | KERNEL_SA_RESTORER,
        .restorer = bench_restorer,
    };
    stack_t stack = {.ss_size = HANDLER_STACK_SIZE};

    stack.ss_sp = mmap(NULL, HANDLER_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0 &&
           syscall(SYS_rt_sigaction, signo, &action, NULL, sizeof(action.mask)) == 0;
}

bool bare_trap_syscalls(void)
{
    const unsigned ip = offsetof(struct seccomp_data, instruction_pointer);
    uint64_t begin = (uint64_t)(uintptr_t)bench_restorer;
    uint64_t end = (uint64_t)(uintptr_t)bench_restorer_end;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(begin >> 32), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)begin, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)end, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    return begin >> 32 == end >> 32 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool bare_dispatch_usable(void)
{
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0;
}

bool bare_dispatch_syscalls(void)
{
    static char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
    uintptr_t begin = (uintptr_t)bench_restorer;

    /* The kernel compares with the address behind the instruction: one byte more than the code has. */
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, begin, (uintptr_t)bench_restorer_end - begin + 1,
              &selector) != 0)
        return false;
    selector = SYSCALL_DISPATCH_FILTER_BLOCK;
    return true;
}
