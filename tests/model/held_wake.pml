/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A worker that holds a context sleeps until the library wants it: to go on, or to let go of it.
 *
 * models core/systrap/systrap_run.c: hand_over
 * models core/systrap/shared_words.h: shared_take_held
 * models core/systrap/slots.c: ask_to_drop
 * models core/systrap/workers.c: worker_wake
 * models stub/systrap_worker.c: sleep_until_woken something_to_do wait_for_wake next_slot
 */
#define ACTORS  2
#define STATE   0
#define WAKE    1
#define WORDS   2
#define HELD    0
#define ASLEEP  1
#define RUNNING 2
#define TAKEN   3 /* RESUMED or DROP */
#define FIRST   {HELD, 0}
#include "store_buffers.pml"

active proctype library()
{
    short before;

    if
    :: change(STATE, HELD, RUNNING, before);
       if
       :: before == HELD -> goto over
       :: else
       fi
    :: skip /* ask_to_drop() */
    fi;
    /* shared_take_held() */
    do
    :: before = look(STATE);
       short was = before;
       change(STATE, was, TAKEN, before);
       if
       :: before == was -> break
       :: else
       fi
    od;
    if
    :: before == ASLEEP ->
#ifndef WEAK_WAKE_UNCHANGED
       add(WAKE, 1);
#endif
       futex_wake(WAKE)
    :: else
    fi;
over:
    skip
}

active proctype worker()
{
    short state;
    short wake;

    do
    :: state = look(STATE);
       if
       :: state == RUNNING || state == TAKEN -> break
       :: else
       fi;
       /* sleep_until_woken() */
#ifndef WEAK_WAKE_READ_LATE
       wake = look(WAKE);
#endif
       change(STATE, HELD, ASLEEP, state);
       if
       :: state == HELD ->
          state = look(STATE);
#ifdef WEAK_WAKE_READ_LATE
          wake = look(WAKE);
#endif
          if
          :: state == ASLEEP -> futex_wait(WAKE, wake)
          :: else
          fi;
#ifdef WEAK_HELD_BY_A_STORE
          store(STATE, HELD)
#else
          change(STATE, ASLEEP, HELD, state)
#endif
       :: else
       fi
    od
}
