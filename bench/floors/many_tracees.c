/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../arch/bare_registers.h"
#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "../timing.h"
#include "floors.h"
#include "tracee.h"

#define TRACEE_STACK_SIZE 65536

struct crowd {
    pid_t process;
    size_t count;
    pid_t *tids;
};

static void *stop_and_loop(void *unused)
{
    (void)unused;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP);
    bench_syscall_loop(0);
    return NULL;
}

/* The traced process: its first thread becomes a tracee as well, behind all the others. */
static __attribute__((noreturn)) void become_crowd(size_t count, int cpu)
{
    pthread_attr_t attributes;
    pthread_t thread;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to_cpu(cpu);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, TRACEE_STACK_SIZE);
    for (size_t i = 1; i < count; i++)
        if (pthread_create(&thread, &attributes, stop_and_loop, NULL) != 0)
            _exit(1);
    stop_and_loop(NULL);
    _exit(1);
}

static void crowd_start(struct crowd *crowd, size_t count, int cpu)
{
    int status;

    crowd->count = count;
    crowd->tids = calloc(count, sizeof(*crowd->tids));
    sample_require(crowd->tids != NULL, "calloc");
    crowd->process = fork();
    sample_require(crowd->process >= 0, "fork");
    if (crowd->process == 0)
        become_crowd(count, cpu);
    for (size_t i = 0; i < count; i++) {
        crowd->tids[i] = waitpid(-1, &status, __WALL);
        if (crowd->tids[i] < 0 || !WIFSTOPPED(status))
            sample_fail("a traced thread did not stop: status 0x%x", (unsigned)status);
        tracee_set_options(crowd->tids[i]);
    }
}

/* Every thread is a tracee to be waited for; the sample's process has no other children. */
static void crowd_end(struct crowd *crowd)
{
    kill(crowd->process, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0)
        continue;
    free(crowd->tids);
}

/*
 * In rounds: a wait for one thread by name is the cheapest wait there is, and
 * with every thread busy none of them keeps the others waiting.
 */
static uint64_t serve_for(const struct crowd *crowd, double seconds, double *elapsed)
{
    double start = now_seconds();
    uint64_t calls = 0;

    do {
        for (size_t i = 0; i < crowd->count; i++) {
            tracee_expect_syscall(tracee_wait(crowd->tids[i]));
            sample_require(bare_answer_syscall(crowd->tids[i], GETPPID_ANSWER), "registers of a traced thread");
            tracee_resume(crowd->tids[i]);
        }
        calls += crowd->count;
        *elapsed = now_seconds() - start;
    } while (*elapsed < seconds);
    return calls;
}

static double calls_per_second(const struct sample *sample, int tracer_cpu, int tracee_cpu)
{
    struct crowd crowd;
    uint64_t calls;
    double elapsed;

    pin_to_cpu(tracer_cpu);
    crowd_start(&crowd, (size_t)sample->argument, tracee_cpu);
    for (size_t i = 0; i < crowd.count; i++)
        tracee_resume(crowd.tids[i]);
    serve_for(&crowd, sample->seconds / 8, &elapsed);
    calls = serve_for(&crowd, sample->seconds, &elapsed);
    crowd_end(&crowd);
    return (double)calls / elapsed;
}

double floor_queue_one_cpu(const struct sample *sample)
{
    return calls_per_second(sample, allowed_cpu(0), allowed_cpu(0));
}

double floor_tracees_in_turns(const struct sample *sample)
{
    return 1e9 / floor_queue_one_cpu(sample);
}

double floor_queue_two_cpus(const struct sample *sample)
{
    return calls_per_second(sample, allowed_cpu(0), allowed_cpu(1));
}
