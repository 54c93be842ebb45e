/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A subprocess dies under a switch that starts and falls asleep. Its worker never answers.
 *
 * models core/systrap/systrap_run.c: systrap_start hand_over systrap_sleep_until_arrived sleep_for_event
 * models core/systrap/death.c: systrap_subprocess_die wake_everybody wake_slot
 */
#define ACTORS  2
#define STATE   0
#define WAITING 1
#define DEATH   2
#define WORDS   3
#define EVENT   0
#define READY   1
#define GONE    2
#define FIRST   {EVENT, 0, 0}
#include "store_buffers.pml"

active proctype switch()
{
    short dead;
    short state;

    dead = look(DEATH);
    if
    :: dead -> goto over
    :: else
    fi;
    store(STATE, READY);
    swap(WAITING, 1);
    do
    :: dead = look(DEATH);
       if
       :: dead -> break
       :: else
       fi;
       state = look(STATE);
       if
       :: state == GONE -> break
       :: else -> futex_wait(STATE, state)
       fi
    od;
    store(WAITING, 0);
over:
    skip
}

active proctype killer()
{
    short state;

#ifndef WEAK_DEATH_SAID_LATE
    swap(DEATH, 1);
#endif
    add(WAITING, 0);
    state = look(STATE);
    if
#ifndef WEAK_STATE_UNCHANGED
    :: state == READY -> swap(STATE, GONE)
#endif
    :: else
    fi;
    futex_wake(STATE)
#ifdef WEAK_DEATH_SAID_LATE
    ; swap(DEATH, 1)
#endif
}
