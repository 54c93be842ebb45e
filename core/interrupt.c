/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/interrupt.h"

#define RAISER       (1ull << 8)
#define RAISER_MASK  (0xffffffull << 8)
#define THREAD_SHIFT 32
#define THREAD_MASK  (0xffffffffull << THREAD_SHIFT)

int interrupt_try_kick(pid_t process)
{
    return syscall(SYS_tgkill, process, process, 0) ? -errno : 0;
}

void interrupt_raise(struct interrupt *interrupt)
{
    int saved_errno = errno;
    uint64_t before;
    pid_t thread;

    /* Pairs with interrupt_disarm(), and the next line with interrupt_arm(): all are changes of one word. */
    atomic_fetch_add(&interrupt->word, RAISER);
    before = atomic_fetch_or(&interrupt->word, INTERRUPT_PENDING);
    thread = (pid_t)(before >> THREAD_SHIFT);
    if (thread && !(before & INTERRUPT_PENDING)) {
        if (interrupt->kick)
            interrupt->kick(interrupt);
        else
            syscall(SYS_tgkill, atomic_load(&interrupt->process), thread, INTERRUPT_KICK_SIGNAL);
    }
    atomic_fetch_sub(&interrupt->word, RAISER);
    errno = saved_errno;
}

bool interrupt_arm(struct interrupt *interrupt, pid_t process, pid_t thread)
{
    uint64_t word = atomic_load(&interrupt->word);

    /* Costs a cache miss of nobody's, but an exchange: not for what is there already. */
    if (atomic_load_explicit(&interrupt->process, memory_order_relaxed) != process)
        atomic_store(&interrupt->process, process);
    /* Pairs with interrupt_raise(). */
    for (;;) {
        if (word & INTERRUPT_PENDING) {
            atomic_fetch_and(&interrupt->word, ~INTERRUPT_PENDING);
            return false;
        }
        if (atomic_compare_exchange_weak(&interrupt->word, &word, word | (uint64_t)(uint32_t)thread << THREAD_SHIFT))
            return true;
    }
}

void interrupt_arm_waiting(struct interrupt *interrupt, pid_t process, pid_t thread)
{
    atomic_store(&interrupt->process, process);
    atomic_fetch_and(&interrupt->word, ~THREAD_MASK);
    atomic_fetch_or(&interrupt->word, (uint64_t)(uint32_t)thread << THREAD_SHIFT);
}

void interrupt_disarm(struct interrupt *interrupt)
{
    uint64_t word = atomic_fetch_and(&interrupt->word, ~THREAD_MASK);

    /* A raiser that has seen the thread is about to signal it; it does not wait for anything: interrupt_raise(). */
    while (word & RAISER_MASK) {
        sched_yield();
        word = atomic_load(&interrupt->word);
    }
}

bool interrupt_take(struct interrupt *interrupt)
{
    return atomic_fetch_and(&interrupt->word, ~INTERRUPT_PENDING) & INTERRUPT_PENDING;
}
