/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A worker that holds no context spins, and then sleeps until there is an entry in the run ring. One worker, which no
 * other has to leave a processor to: it is woken if it is counted as asleep and as not spinning.
 *
 * models core/systrap/systrap_run.c: hand_over
 * models core/systrap/workers.c: workers_wake_one workers_wake_a_sleeper worker_wake
 * models stub/systrap_worker.c: spin sleep_until_woken something_to_do wait_for_wake
 */
#define ACTORS   2
#define ENTRY    0
#define SPINNING 1
#define AWAKE    2
#define ASLEEP   3
#define WAKE     4
#define WORDS    5
#define FIRST    {0, 0, 1, 0, 0}
#include "store_buffers.pml"

active proctype library()
{
    short seen;

#ifdef WEAK_ENTRY_BY_A_STORE
    store(ENTRY, 1);
#else
    swap(ENTRY, 1);
#endif
    seen = look(SPINNING);
    if
    :: seen -> goto over
    :: else
    fi;
    seen = look(AWAKE);
    if
    :: seen -> goto over
    :: else
    fi;
    seen = look(ASLEEP);
    if
    :: seen ->
       add(WAKE, 1);
       futex_wake(WAKE)
    :: else
    fi;
over:
    skip
}

active proctype worker()
{
    short found;
    short wake;

    do
    :: /* spin() */
       add(SPINNING, 1);
       found = look(ENTRY);
#ifndef WEAK_COUNTED_OUT_LATE
       add(SPINNING, -1);
#endif
       if
       :: found -> break
       :: else
       fi;
       /* sleep_until_woken() */
       wake = look(WAKE);
       swap(ASLEEP, 1);
#ifdef WEAK_LOOK_BEFORE_COUNTING
       found = look(ENTRY);
       add(AWAKE, -1);
#else
       add(AWAKE, -1);
       found = look(ENTRY);
#endif
#ifdef WEAK_COUNTED_OUT_LATE
       add(SPINNING, -1);
#endif
       if
       :: found
       :: else -> futex_wait(WAKE, wake)
       fi;
       add(AWAKE, 1);
       swap(ASLEEP, 0)
    od
}
