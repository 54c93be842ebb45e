/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../arch/bare_registers.h"
#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "../worker_threads.h"
#include "floors.h"
#include "tracee.h"

static uint64_t serve_one_tracee(void *unused, unsigned index, const struct worker_phase *phase)
{
    int cpu = allowed_cpu(index);
    uint64_t calls = 0;
    pid_t pid;

    (void)unused;
    pin_to_cpu(cpu);
    pid = tracee_start(bench_syscall_loop, 0, cpu);
    while (!worker_stopped(phase)) {
        tracee_expect_syscall(tracee_run(pid));
        sample_require(bare_answer_syscall(pid, GETPPID_ANSWER), "registers of a bare tracee");
        calls += worker_counts(phase);
    }
    tracee_kill(pid);
    return calls;
}

double floor_threads(const struct sample *sample)
{
    allowed_cpu(0);
    return worker_calls_per_second(sample, serve_one_tracee, NULL);
}
