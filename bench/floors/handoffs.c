/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <signal.h>
#include <unistd.h>

#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "../timing.h"
#include "../worker_threads.h"
#include "floors.h"
#include "handoff.h"

static double spinning(const struct sample *sample, stub_function *stub, void (*serve)(void *))
{
    struct handoff *handoff;
    double nanoseconds;
    int embedder, stub_cpu;

    handoff_two_cpus(&embedder, &stub_cpu);
    handoff = handoff_start(stub, WAIT_SPINNING, embedder, stub_cpu);
    nanoseconds = nanoseconds_per_step(sample, serve, handoff);
    handoff_end(handoff);
    return nanoseconds;
}

double floor_call_spinning(const struct sample *sample)
{
    return spinning(sample, stub_of_calls, handoff_serve);
}

double floor_short_call_spinning(const struct sample *sample)
{
    return spinning(sample, stub_of_short_calls, handoff_serve_short);
}

#define BLOCKS 64 /* without and with bytes, in turns */

/* What a line more adds to a short call: the mean difference, as it is measured for the library. */
static double carrying(const struct sample *sample, enum carried carried)
{
    struct sample block = *sample;
    struct handoff *handoff;
    double difference = 0;
    int embedder, stub_cpu;

    handoff_two_cpus(&embedder, &stub_cpu);
    handoff = handoff_start(stub_of_short_calls, WAIT_SPINNING, embedder, stub_cpu);
    block.seconds = sample->seconds / (2 * BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        atomic_store(&handoff->carried, CARRIED_NOTHING);
        difference -= nanoseconds_per_step(&block, handoff_serve_short, handoff);
        atomic_store(&handoff->carried, carried);
        difference += nanoseconds_per_step(&block, handoff_serve_short, handoff);
    }
    handoff_end(handoff);
    return difference / BLOCKS;
}

double floor_line_out(const struct sample *sample)
{
    return carrying(sample, CARRIED_OUT);
}

double floor_line_in(const struct sample *sample)
{
    return carrying(sample, CARRIED_IN);
}

double floor_one_pair_spinning(const struct sample *sample)
{
    return 1e9 / floor_call_spinning(sample);
}

/* Of the stub process alone, which has one thread. */
static struct handoff *handoff_of_handler;

static void yield_registers(int signo, siginfo_t *info, void *ucontext)
{
    (void)signo;
    (void)info;
    bare_registers_out(ucontext, handoff_of_handler->registers);
    handoff_yield(handoff_of_handler);
    bare_registers_in(ucontext, handoff_of_handler->registers);
}

static void stub_of_sigsys(struct handoff *handoff)
{
    handoff_of_handler = handoff;
    if (bare_handle(SIGSYS, yield_registers) && bare_trap_syscalls())
        bench_syscall_loop(0);
}

static void stub_of_dispatch(struct handoff *handoff)
{
    handoff_of_handler = handoff;
    if (bare_handle(SIGSYS, yield_registers) && bare_dispatch_syscalls())
        bench_syscall_loop(0);
}

static void stub_of_sigsegv(struct handoff *handoff)
{
    handoff_of_handler = handoff;
    if (bare_handle(SIGSEGV, yield_registers))
        bench_fault_loop(0);
}

double floor_sigsys_spinning(const struct sample *sample)
{
    return spinning(sample, stub_of_sigsys, handoff_serve);
}

double floor_dispatch_spinning(const struct sample *sample)
{
    if (!bare_dispatch_usable())
        sample_skip("this kernel has no syscall user dispatch");
    return spinning(sample, stub_of_dispatch, handoff_serve);
}

double floor_sigsegv_spinning(const struct sample *sample)
{
    return spinning(sample, stub_of_sigsegv, handoff_serve);
}

double floor_call_sleeping(const struct sample *sample)
{
    int cpu = allowed_cpu(0);
    struct handoff *handoff = handoff_start(stub_of_calls, WAIT_SLEEPING, cpu, cpu);
    double nanoseconds = nanoseconds_per_step(sample, handoff_serve, handoff);

    handoff_end(handoff);
    return nanoseconds;
}

static uint64_t serve_one_pair(void *unused, unsigned index, const struct worker_phase *phase)
{
    int cpu = allowed_cpu(index);
    struct handoff *handoff = handoff_start(stub_of_calls, WAIT_SLEEPING, cpu, cpu);
    uint64_t calls = 0;

    (void)unused;
    while (!worker_stopped(phase)) {
        handoff_serve(handoff);
        calls += worker_counts(phase);
    }
    handoff_end(handoff);
    return calls;
}

double floor_pairs_sleeping(const struct sample *sample)
{
    allowed_cpu(0); /* asked before a worker is pinned */
    return worker_calls_per_second(sample, serve_one_pair, NULL);
}
