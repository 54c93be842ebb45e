/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A switch sleeps until its worker has left an event in the slot.
 *
 * models core/systrap/systrap_run.c: systrap_sleep_until_arrived sleep_for_event
 * models stub/systrap_worker.c: publish wake_waiter
 */
#define ACTORS  2
#define STATE   0
#define WAITING 1
#define WORDS   2
#define RUNNING 0
#define HELD    1
#define FIRST   {RUNNING, 0}
#include "store_buffers.pml"

active proctype switch()
{
    short state;

    swap(WAITING, 1);
    do
    :: state = look(STATE);
       if
       :: state == HELD -> break
       :: else -> futex_wait(STATE, state)
       fi
    od;
    store(WAITING, 0)
}

active proctype worker()
{
    short waiting;

#ifdef WEAK_LOOK_BEFORE_STORE
    waiting = look(WAITING);
#endif
    store(STATE, HELD);
#ifndef WEAK_NO_FENCE
    fence();
#endif
#ifndef WEAK_LOOK_BEFORE_STORE
    waiting = look(WAITING);
#endif
    if
    :: waiting -> futex_wake(STATE)
    :: else
    fi
}
