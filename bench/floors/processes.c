/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cpus.h"
#include "../guest_programs.h"
#include "../process_costs.h"
#include "../sample.h"
#include "../timing.h"
#include "floors.h"
#include "tracee.h"

#define HUGE_PAGE 0x200000UL

static void step_create_destroy(void *unused)
{
    (void)unused;
    tracee_kill(tracee_start(bench_syscall_loop, 0, CPU_ANY));
}

double floor_create_destroy(const struct sample *sample)
{
    return nanoseconds_per_step(sample, step_create_destroy, NULL);
}

static void step_first_switch(void *unused)
{
    pid_t pid = tracee_start(bench_syscall_loop, 0, CPU_ANY);

    (void)unused;
    tracee_expect_syscall(tracee_run(pid));
    tracee_kill(pid);
}

double floor_first_switch(const struct sample *sample)
{
    return nanoseconds_per_step(sample, step_first_switch, NULL);
}

/* Small pages, as in the guest: a huge page would be one page table entry where the guest has 512. */
static void touch_small_pages(size_t length)
{
    char *memory = mmap(NULL, length + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sample_require(memory != MAP_FAILED, "mmap");
    memory = (char *)(((uintptr_t)memory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    sample_require(madvise(memory, length, MADV_NOHUGEPAGE) == 0, "madvise");
    memset(memory, 1, length);
}

static void step_fork(void *unused)
{
    pid_t pid = fork();

    (void)unused;
    sample_require(pid >= 0, "fork");
    if (pid == 0)
        for (;;)
            pause();
    tracee_kill(pid);
}

double floor_fork_touched(const struct sample *sample)
{
    touch_small_pages((size_t)sample->argument);
    return nanoseconds_per_step(sample, step_fork, NULL);
}

double floor_memory_at_rest(const struct sample *sample)
{
    pid_t pid = tracee_start(bench_syscall_loop, 0, CPU_ANY);
    double kib;

    (void)sample;
    tracee_expect_syscall(tracee_run(pid));
    kib = process_memory_kib(pid);
    tracee_kill(pid);
    return kib;
}
