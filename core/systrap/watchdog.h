/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stubs that do not do what they are asked to, because a guest has spoilt the
 * memory it shares with the library. A stub's patience has clocks of its own,
 * which go on while somebody looks: time in which it was stopped or frozen, or
 * its workers starved, is nobody's fault in it.
 */
#ifndef CORE_SYSTRAP_WATCHDOG_H
#define CORE_SYSTRAP_WATCHDOG_H

#include "core/clock.h"
#include "core/systrap/systrap_backend.h"

/* A waiter looks this often after what it waits for; the tests have a library with shorter ones. */
#ifndef WATCHDOG_ROUND_NS
#define WATCHDOG_ROUND_NS NS_PER_SECOND
#endif

/* How long a stopped stub may keep somebody from what he wants. */
#define WATCHDOG_OPERATION INT64_MAX                /* until it goes on, or another thread destroys it */
#define WATCHDOG_TEARDOWN  (10 * WATCHDOG_ROUND_NS) /* he has no more use for it, but others may */
#define WATCHDOG_DESTROY   (2 * WATCHDOG_ROUND_NS)  /* it is about to be killed */

/*
 * Somebody else keeps the stub from running, which is no fault of the guest's:
 * it is stopped or frozen at this moment. Reads /proc.
 */
bool watchdog_is_stopped(const struct systrap_subprocess *subprocess);

/*
 * The context is in flight. True: it has been stuck for five rounds in which
 * its stub could run, or it has been stuck, or has not answered an interrupt,
 * for five minutes in which the stub was neither stopped nor frozen. Reads
 * /proc if there is something wrong.
 */
bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns);
/* The same for all contexts of queues in the subprocess, whose lock is not held. */
bool watchdog_gives_up_queued(struct systrap_subprocess *subprocess, int64_t now_ns);

/* Time that passed while somebody looked. */
struct watchdog_times {
    int64_t could_run; /* a part of: */
    int64_t lived;     /* workers that wanted to run may have been given no processor */
    int64_t stopped;   /* or frozen */
};

/* Somebody waits for workers to let go of something. Starts as zero. */
struct watchdog_wait {
    int64_t look_at; /* then it is to be asked again */
    bool begun;
    struct watchdog_times since;
};

/*
 * True: for two rounds the workers could have done it, or they have seemed
 * starved for five minutes, or the stub was stopped for that long.
 */
bool watchdog_waits_in_vain(struct systrap_subprocess *subprocess, struct watchdog_wait *wait, int64_t stopped_ns);

#endif
