/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stubs that do not do what they are asked to, because a guest has spoilt the
 * memory it shares with the library. A stub's patience has clocks of its own,
 * which go on while somebody looks: time in which the host gave it no processor,
 * because it is stopped, frozen or starved, is nobody's fault in it. Neither is
 * time in which the host does not let the library look.
 */
#ifndef CORE_SYSTRAP_WATCHDOG_H
#define CORE_SYSTRAP_WATCHDOG_H

#include "core/clock.h"
#include "core/systrap/systrap_types.h"

/* How often a waiter looks after what it waits for; one of the tests' libraries has shorter rounds. */
#ifndef WATCHDOG_ROUND_NS
#define WATCHDOG_ROUND_NS NS_PER_SECOND
#endif

/* For how long a stub that gets no processor may keep a caller waiting, by what the caller does. */
#define WATCHDOG_OPERATION INT64_MAX                /* until it goes on, or another thread destroys it */
#define WATCHDOG_TEARDOWN  (10 * WATCHDOG_ROUND_NS) /* the caller does not need the stub any more, others may */
#define WATCHDOG_DESTROY   (2 * WATCHDOG_ROUND_NS)  /* it is about to be killed */

/*
 * The context is in flight. True: it has been stuck for five rounds in which
 * its stub was given a processor, or has not answered an interrupt for five
 * minutes of these; or a thread of the stub has ended alone, and the subprocess with it.
 */
bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns);
/* The same for all contexts of queues in the subprocess, whose lock is not held. */
bool watchdog_gives_up_queued(struct systrap_subprocess *subprocess, int64_t now_ns);

/* Time that passed while somebody looked: each look counts all time since the look before as one or the other. */
struct watchdog_times {
    int64_t lived;   /* the host gave the stub a processor in it */
    int64_t held_up; /* it did not, or does not say */
};

/* What a thread keeps that waits for workers to let go of something. Starts as zero. */
struct watchdog_wait {
    int64_t look_at; /* then it is to be asked again */
    bool begun;
    struct watchdog_times since;
};

/* True: the workers have had a processor for two rounds without doing it, or the stub none for held_up_ns. */
bool watchdog_waits_in_vain(struct systrap_subprocess *subprocess, struct watchdog_wait *wait, int64_t held_up_ns);

#endif
