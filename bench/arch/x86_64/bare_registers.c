/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../bare_registers.h"

#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../../guest_programs.h"

/* Larger than any XSAVE area there is today (AMX included). */
#define FPSTATE_MAX 16384

bool bare_read_registers(pid_t pid, struct user_regs_struct *registers)
{
    return ptrace(PTRACE_GETREGS, pid, NULL, registers) == 0;
}

bool bare_answer_syscall(pid_t pid, int64_t result)
{
    struct user_regs_struct registers;

    if (!bare_read_registers(pid, &registers))
        return false;
    registers.rax = (unsigned long long)result;
    return ptrace(PTRACE_SETREGS, pid, NULL, &registers) == 0;
}

bool bare_read_fpstate(pid_t pid)
{
    char fpstate[FPSTATE_MAX];
    struct iovec all = {.iov_base = fpstate, .iov_len = sizeof(fpstate)};

    return ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all) == 0;
}

bool bare_inject(pid_t pid, const struct user_regs_struct *start, int64_t number, const uint64_t arguments[6],
                 int64_t *result)
{
    struct user_regs_struct registers = *start;
    int status;

    registers.rip = (unsigned long long)(uintptr_t)bench_injection_site;
    registers.orig_rax = ~0ULL;
    registers.rax = (unsigned long long)number;
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.r10 = arguments[3];
    registers.r8 = arguments[4];
    registers.r9 = arguments[5];
    if (ptrace(PTRACE_SETREGS, pid, NULL, &registers) != 0 || ptrace(PTRACE_CONT, pid, NULL, NULL) != 0)
        return false;
    if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        return false;
    if (!bare_read_registers(pid, &registers))
        return false;
    *result = (int64_t)registers.rax;
    return true;
}
