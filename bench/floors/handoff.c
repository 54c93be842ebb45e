/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "handoff.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cpus.h"
#include "../guest_programs.h"
#include "../sample.h"
#include "spin_pause.h"

/* Rounds between two looks at whether the stub still lives; far more than any answer takes. */
#define PAUSES_PER_LOOK (1U << 22)

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void give_turn(struct handoff *handoff, enum turn turn)
{
    if (handoff->waiting == WAIT_SPINNING) {
        atomic_store_explicit(&handoff->turn, turn, memory_order_release);
        return;
    }
    atomic_store(&handoff->turn, turn);
    futex_wake(&handoff->turn);
}

void handoff_yield(struct handoff *handoff)
{
    give_turn(handoff, TURN_EMBEDDER);
    while (atomic_load_explicit(&handoff->turn, memory_order_acquire) != TURN_STUB) {
        if (handoff->waiting == WAIT_SPINNING)
            spin_pause();
        else
            futex_wait(&handoff->turn, TURN_EMBEDDER);
    }
}

void handoff_pause(pid_t stub, uint32_t round)
{
    spin_pause();
    if (round % PAUSES_PER_LOOK == PAUSES_PER_LOOK - 1 && waitpid(stub, NULL, WNOHANG) != 0)
        sample_fail("the bare stub has ended");
}

static void spin_until_event(struct handoff *handoff)
{
    for (uint32_t round = 0; atomic_load_explicit(&handoff->turn, memory_order_acquire) != TURN_EMBEDDER; round++)
        handoff_pause(handoff->stub, round);
}

static void wait_for_event(struct handoff *handoff)
{
    if (handoff->waiting == WAIT_SPINNING)
        spin_until_event(handoff);
    else
        while (atomic_load(&handoff->turn) != TURN_EMBEDDER)
            futex_wait(&handoff->turn, TURN_STUB);
}

static void put_bytes(volatile uint64_t *bytes)
{
    for (unsigned i = 0; i < CARRIED_WORDS; i++)
        bytes[i] = i;
}

static void get_bytes(const volatile uint64_t *bytes)
{
    volatile uint64_t copy[CARRIED_WORDS];

    for (unsigned i = 0; i < CARRIED_WORDS; i++)
        copy[i] = bytes[i];
    (void)copy;
}

void handoff_serve_short(void *state)
{
    struct handoff *handoff = state;
    const enum carried carried = atomic_load_explicit(&handoff->carried, memory_order_relaxed);

    wait_for_event(handoff);
    if (carried == CARRIED_OUT)
        get_bytes(handoff->bytes);
    else if (carried == CARRIED_IN)
        put_bytes(handoff->bytes);
    handoff->short_call[0] = GETPPID_ANSWER;
    give_turn(handoff, TURN_STUB);
}

void handoff_serve(void *state)
{
    struct handoff *handoff = state;

    wait_for_event(handoff);
    handoff->registers[bare_result_register] = GETPPID_ANSWER;
    give_turn(handoff, TURN_STUB);
}

void stub_of_calls(struct handoff *handoff)
{
    volatile uint64_t *registers = handoff->registers;

    do {
        for (unsigned i = 0; i < BARE_REGISTER_COUNT; i++)
            registers[i] = i;
        handoff_yield(handoff);
    } while (registers[bare_result_register] == GETPPID_ANSWER);
}

void stub_of_short_calls(struct handoff *handoff)
{
    volatile uint64_t *call = handoff->short_call;

    do {
        if (atomic_load_explicit(&handoff->carried, memory_order_relaxed) == CARRIED_OUT)
            put_bytes(handoff->bytes);
        for (unsigned i = 0; i < SHORT_CALL_WORDS; i++)
            call[i] = i;
        handoff_yield(handoff);
        if (atomic_load_explicit(&handoff->carried, memory_order_relaxed) == CARRIED_IN)
            get_bytes(handoff->bytes);
    } while (call[0] == GETPPID_ANSWER);
}

struct handoff *handoff_start(stub_function *stub, enum waiting waiting, int embedder_cpu, int stub_cpu)
{
    struct handoff *handoff = mmap(NULL, sizeof(*handoff), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;

    sample_require(handoff != MAP_FAILED, "mmap");
    atomic_init(&handoff->turn, TURN_STUB);
    atomic_init(&handoff->carried, CARRIED_NOTHING);
    handoff->waiting = waiting;
    pid = fork();
    sample_require(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to_cpu(stub_cpu);
        stub(handoff);
        _exit(1);
    }
    handoff->stub = pid;
    pin_to_cpu(embedder_cpu);
    return handoff;
}

void handoff_end(struct handoff *handoff)
{
    kill(handoff->stub, SIGKILL);
    waitpid(handoff->stub, NULL, 0);
    munmap(handoff, sizeof(*handoff));
}

void handoff_two_cpus(int *first, int *second)
{
    *first = allowed_cpu(0);
    *second = allowed_cpu(1);
    if (*first == *second)
        sample_skip("two sides that spin need two processors");
}
