/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * There is something to be run. A worker that is one too many rests only while the waiter is awake, who else sees it
 * asleep and wakes it before he sleeps himself.
 *
 * models core/systrap/systrap_queue_wait.c: sleep_until add_sleepers
 * models core/systrap/workers.c: workers_add workers_wake_a_sleeper worker_wake
 * models stub/systrap_worker.c: rest is_one_too_many wait_for_wake
 */
#define ACTORS   2
#define SLEEPERS 0
#define ASLEEP   1
#define WAKE     2
#define DONE     3
#define WORDS    4
#define FIRST    {0, 0, 0, 0}
#include "store_buffers.pml"

active proctype waiter()
{
    short asleep;

#ifdef WEAK_SLEEPERS_BY_A_STORE
    store(SLEEPERS, 1);
#else
    add(SLEEPERS, 1);
#endif
    asleep = look(ASLEEP);
    if
    :: asleep ->
       add(WAKE, 1);
       futex_wake(WAKE)
    :: else
    fi;
    /* Until the worker has run what there was: it pushes the event, and changes the doorbell. */
    futex_wait(DONE, 0)
}

active proctype worker()
{
    short wake;
    short sleepers;

    wake = look(WAKE);
#ifdef WEAK_LOOK_BEFORE_ASLEEP
    sleepers = look(SLEEPERS);
    swap(ASLEEP, 1);
#else
#ifdef WEAK_ASLEEP_BY_A_STORE
    store(ASLEEP, 1);
#else
    swap(ASLEEP, 1);
#endif
    sleepers = look(SLEEPERS);
#endif
    if
    :: sleepers
    :: else -> futex_wait(WAKE, wake)
    fi;
    swap(ASLEEP, 0);
    swap(DONE, 1);
    futex_wake(DONE)
}
