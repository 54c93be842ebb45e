/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The library asks the worker that holds a context for a copy, and takes that back when it lasts. Either the worker
 * copies, and the library knows what, or it copies nothing from then on, and the context goes on either way.
 *
 * models core/systrap/worker_copy.c: ask wait_for_copy wait_for_end
 * models core/systrap/systrap_run.c: hand_over
 * models stub/systrap_worker.c: copy_for_library next_slot
 */
#define ACTORS  2
#define STATE   0
#define LEFT    1
#define WORDS   2
#define HELD    0
#define COPY    1
#define COPYING 2
#define RUNNING 3
#define ASKED   7
#define FIRST   {HELD, ASKED}
#include "store_buffers.pml"

bool over; /* the library waits for no copy any more */

active proctype library()
{
    short state;
    short left;
    bool copied;

    change(STATE, HELD, COPY, state);
    if
    :: state == HELD ->
       do
       :: state = look(STATE);
          if
          :: state != COPY && state != COPYING ->
             copied = true;
             break
          :: else
          fi
       :: true -> break
       od;
       if
       :: copied
       :: else ->
#ifdef WEAK_TAKEN_BACK_BY_A_STORE
          swap(STATE, HELD);
          state = COPY;
#else
          change(STATE, COPY, HELD, state);
#endif
          if
          :: state == COPY
          :: else ->
             look(STATE) != COPYING;
             copied = true
          fi
       fi
    :: else
    fi;
    left = look(LEFT);
    assert(!copied || left != ASKED);
    over = true;
    change(STATE, HELD, RUNNING, state);
    assert(state == HELD)
}

active proctype worker()
{
    short state;

    do
    :: state = look(STATE);
       if
       :: state == RUNNING -> break
       :: state == COPY ->
#ifdef WEAK_CLAIMED_BY_A_STORE
          swap(STATE, COPYING);
#else
          change(STATE, COPY, COPYING, state);
#endif
          if
          :: state == COPY ->
             assert(!over);
#ifdef WEAK_ENDED_BEFORE_THE_COPY
             store(STATE, HELD);
             store(LEFT, 0)
#else
             store(LEFT, 0);
             store(STATE, HELD)
#endif
          :: else
          fi
       :: else
       fi
    od
}
