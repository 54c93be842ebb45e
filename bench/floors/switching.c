/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "../arch/bare_registers.h"
#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "../timing.h"
#include "floors.h"
#include "tracee.h"

static void step_syscall(void *state)
{
    pid_t pid = *(pid_t *)state;

    tracee_expect_syscall(tracee_run(pid));
    sample_require(bare_answer_syscall(pid, GETPPID_ANSWER), "registers of a bare tracee");
}

static void step_syscall_fp(void *state)
{
    step_syscall(state);
    sample_require(bare_read_fpstate(*(pid_t *)state), "FP state of a bare tracee");
}

/* What an embedder needs before it can mend a fault: the signal's address and the registers. Nothing is changed. */
static void step_fault(void *state)
{
    pid_t pid = *(pid_t *)state;
    struct user_regs_struct registers;
    siginfo_t signal;
    int status = tracee_run(pid);

    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSEGV)
        sample_fail("a bare tracee did not fault: status 0x%x", (unsigned)status);
    sample_require(bare_read_registers(pid, &registers), "registers of a bare tracee");
    sample_require(ptrace(PTRACE_GETSIGINFO, pid, NULL, &signal) == 0, "PTRACE_GETSIGINFO");
}

static double one_cpu(const struct sample *sample, void (*entry)(uint64_t), void (*step)(void *))
{
    int cpu = allowed_cpu(0);
    double nanoseconds;
    pid_t pid;

    pin_to_cpu(cpu);
    pid = tracee_start(entry, 0, cpu);
    nanoseconds = nanoseconds_per_step(sample, step, &pid);
    tracee_kill(pid);
    return nanoseconds;
}

double floor_switch(const struct sample *sample)
{
    return one_cpu(sample, bench_syscall_loop, step_syscall);
}

double floor_switch_fp(const struct sample *sample)
{
    return one_cpu(sample, bench_syscall_loop, step_syscall_fp);
}

double floor_fault(const struct sample *sample)
{
    return one_cpu(sample, bench_fault_loop, step_fault);
}
