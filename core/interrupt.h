/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The sticky, coalescing interrupt of a context. One atomic word, so that
 * raising works in a signal handler and never waits:
 *
 *   bit 0        pending: raised and not yet returned as an event
 *   bits 8..31   how many raisers are between their first and last step
 *   bits 32..63  the host thread to signal while the context runs, 0 otherwise
 *
 * The kick is SIGCHLD: ignored by default, so one that comes late to a thread
 * that nobody traces any more does nothing.
 */
#ifndef CORE_INTERRUPT_H
#define CORE_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INTERRUPT_KICK_SIGNAL SIGCHLD
#define INTERRUPT_PENDING     1ull /* in word */

struct interrupt {
    _Atomic uint64_t word;
    _Atomic pid_t process; /* of the thread in the word */
    /* For backends that do not know the thread beforehand: called instead of signalling the one in the word. */
    void (*kick)(struct interrupt *interrupt);
};

/* Whether the host lets a kick through to that process, which nobody has reaped yet: 0 or -errno. Sends none. */
int interrupt_try_kick(pid_t process);

/* Any thread, any signal handler. */
void interrupt_raise(struct interrupt *interrupt);

/* From now on raising signals the thread. False, and nothing armed, when one is pending: it is consumed. */
bool interrupt_arm(struct interrupt *interrupt, pid_t process, pid_t thread);

/* The same without looking: one that is pending stays so. */
void interrupt_arm_waiting(struct interrupt *interrupt, pid_t process, pid_t thread);

/* When this returns nobody signals the thread any more. */
void interrupt_disarm(struct interrupt *interrupt);

static inline bool interrupt_pending(const struct interrupt *interrupt)
{
    return atomic_load(&interrupt->word) & INTERRUPT_PENDING;
}

/* Consumes a pending interrupt; false when there is none. */
bool interrupt_take(struct interrupt *interrupt);

#endif
