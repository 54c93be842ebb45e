/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Contexts that go round between one embedder thread and one stub thread: a
 * ring in each direction, all registers copied on both sides, FP state switched
 * with every change of the context. No call is decoded, nothing is checked.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../arch/bare_fpstate.h"
#include "../arch/bare_trap.h"
#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "../timing.h"
#include "floors.h"
#include "handoff.h"
#include "spin_pause.h"

#define RING_SIZE     1024
#define CONTEXT_ALIGN 4096

/* Calls between two looks at the clock. */
#define CALLS_PER_LOOK 1024

/* One thread puts in, one takes out. It never overflows: there are fewer contexts than slots. */
struct ring {
    _Alignas(64) _Atomic uint32_t taken;
    _Alignas(64) _Atomic uint32_t put;
    _Alignas(64) uint32_t slots[RING_SIZE];
};

struct ring_context {
    _Alignas(CONTEXT_ALIGN) struct bare_fpstate fpstate;
    uint64_t registers[BARE_REGISTER_COUNT];
};

struct rings {
    struct ring ready; /* to the stub */
    struct ring done;  /* and back */
    struct ring_context contexts[RING_SIZE];
};

static void ring_put(struct ring *ring, uint32_t value)
{
    uint32_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);

    ring->slots[put % RING_SIZE] = value;
    atomic_store_explicit(&ring->put, put + 1, memory_order_release);
}

static bool ring_take(struct ring *ring, uint32_t *value)
{
    uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);

    if (taken == atomic_load_explicit(&ring->put, memory_order_acquire))
        return false;
    *value = ring->slots[taken % RING_SIZE];
    atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
    return true;
}

/* Word by word and for real: a compiler must not find out that most of them stay what they are. */
static void copy_registers(volatile uint64_t *to, const volatile uint64_t *from)
{
    for (unsigned i = 0; i < BARE_REGISTER_COUNT; i++)
        to[i] = from[i];
}

static __attribute__((noreturn)) void be_the_stub(struct rings *rings)
{
    struct ring_context *last = NULL;
    uint64_t registers[BARE_REGISTER_COUNT];
    uint32_t index;

    for (;;) {
        struct ring_context *context;

        while (!ring_take(&rings->ready, &index))
            spin_pause();
        context = &rings->contexts[index];
        if (last && last != context) {
            bare_fpstate_save(&last->fpstate);
            bare_fpstate_restore(&context->fpstate);
        }
        last = context;
        copy_registers(registers, context->registers);
        copy_registers(context->registers, registers);
        ring_put(&rings->done, index);
    }
}

static uint32_t take_and_answer(struct rings *rings, pid_t stub)
{
    uint64_t registers[BARE_REGISTER_COUNT];
    uint32_t index;

    for (uint32_t round = 0; !ring_take(&rings->done, &index); round++)
        handoff_pause(stub, round);
    copy_registers(registers, rings->contexts[index].registers);
    registers[bare_result_register] = GETPPID_ANSWER;
    copy_registers(rings->contexts[index].registers, registers);
    return index;
}

static void serve_one(struct rings *rings, pid_t stub)
{
    ring_put(&rings->ready, take_and_answer(rings, stub));
}

static double calls_per_second(struct rings *rings, pid_t stub, double seconds)
{
    double start = now_seconds();
    double elapsed;
    uint64_t calls = 0;

    do {
        for (unsigned i = 0; i < CALLS_PER_LOOK; i++)
            serve_one(rings, stub);
        calls += CALLS_PER_LOOK;
        elapsed = now_seconds() - start;
    } while (elapsed < seconds);
    return (double)calls / elapsed;
}

static pid_t start_stub(struct rings *rings, int cpu)
{
    pid_t pid = fork();

    sample_require(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to_cpu(cpu);
        be_the_stub(rings);
    }
    return pid;
}

/* The embedder is this thread, on a processor of its own. */
static pid_t start(struct rings **rings)
{
    int embedder_cpu, stub_cpu;
    pid_t stub;

    *rings = mmap(NULL, sizeof(**rings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sample_require(*rings != MAP_FAILED, "mmap");
    if (!bare_fpstate_usable())
        sample_skip("this processor has no instruction for the floor's way of saving FP state");
    handoff_two_cpus(&embedder_cpu, &stub_cpu);
    stub = start_stub(*rings, stub_cpu);
    pin_to_cpu(embedder_cpu);
    return stub;
}

static void end(pid_t stub)
{
    kill(stub, SIGKILL);
    waitpid(stub, NULL, 0);
}

double floor_ring(const struct sample *sample)
{
    struct rings *rings;
    pid_t stub = start(&rings);
    double rate;

    for (uint32_t i = 0; i < sample->argument; i++)
        ring_put(&rings->ready, i);
    calls_per_second(rings, stub, sample->seconds / 8);
    rate = calls_per_second(rings, stub, sample->seconds);
    end(stub);
    return rate;
}

struct turns {
    struct rings *rings;
    pid_t stub;
    uint32_t count;
    uint32_t next;
};

static void serve_next(void *state)
{
    struct turns *turns = state;

    ring_put(&turns->rings->ready, turns->next);
    take_and_answer(turns->rings, turns->stub);
    turns->next = (turns->next + 1) % turns->count;
}

double floor_ring_in_turns(const struct sample *sample)
{
    struct turns turns = {.count = (uint32_t)sample->argument};
    double nanoseconds;

    turns.stub = start(&turns.rings);
    nanoseconds = nanoseconds_per_step(sample, serve_next, &turns);
    end(turns.stub);
    return nanoseconds;
}
