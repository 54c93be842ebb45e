/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tracee.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cpus.h"
#include "../sample.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

void tracee_set_options(pid_t pid)
{
    sample_require(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0,
                   "PTRACE_SETOPTIONS");
}

pid_t tracee_start(void (*entry)(uint64_t), uint64_t argument, int cpu)
{
    pid_t pid = fork();
    int status;

    sample_require(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to_cpu(cpu);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        entry(argument);
        _exit(1);
    }
    status = tracee_wait(pid);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
        sample_fail("a bare tracee did not stop: status 0x%x", (unsigned)status);
    tracee_set_options(pid);
    return pid;
}

void tracee_resume(pid_t pid)
{
    sample_require(ptrace(PTRACE_SYSEMU, pid, NULL, NULL) == 0, "PTRACE_SYSEMU");
}

int tracee_wait(pid_t pid)
{
    int status;

    sample_require(waitpid(pid, &status, __WALL) == pid, "waitpid");
    return status;
}

int tracee_run(pid_t pid)
{
    tracee_resume(pid);
    return tracee_wait(pid);
}

void tracee_expect_syscall(int status)
{
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SYSCALL_STOP)
        sample_fail("a bare tracee made no system call: status 0x%x", (unsigned)status);
}

void tracee_kill(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    do
        status = tracee_wait(pid);
    while (!WIFSIGNALED(status) && !WIFEXITED(status));
}
