/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The library wants the FP state of a context that a worker holds, and sleeps until that has let go of it or the
 * subprocess has died. Either may happen while the other does.
 *
 * models core/systrap/slots.c: ask_to_drop wait_for_drop
 * models core/systrap/death.c: systrap_subprocess_die wake_everybody wake_slot
 * models stub/systrap_worker.c: drop_held
 */
#define ACTORS 3
#define STATE  0
#define DEATH  1
#define WORDS  2
#define HELD   0
#define DROP   1
#define EVENT  2
#define GONE   3
#define FIRST  {HELD, 0}
#include "store_buffers.pml"

bool killed;

active proctype library()
{
    short state;
    short dead;

    change(STATE, HELD, DROP, state);
    do
    :: state = look(STATE);
       if
       :: state != DROP -> break
       :: else
       fi;
       dead = look(DEATH);
       if
       :: dead -> break
       :: else -> futex_wait(STATE, DROP)
       fi
    od
}

active proctype worker()
{
    short state;

    do
    :: state = look(STATE);
       if
       :: state == DROP -> break
       :: killed -> goto over
       :: state == GONE -> goto over
       :: else
       fi
    od;
    if
    :: killed
    :: true ->
       swap(STATE, EVENT);
#ifndef WEAK_NO_WAKE
       futex_wake(STATE)
#endif
    fi;
over:
    skip
}

active proctype killer()
{
    short state;

    if
    :: true ->
       killed = true;
#ifndef WEAK_DEATH_SAID_LATE
       swap(DEATH, 1);
#endif
#ifndef WEAK_DROP_UNCHANGED
       change(STATE, DROP, GONE, state);
#endif
       futex_wake(STATE)
#ifdef WEAK_DEATH_SAID_LATE
       ; swap(DEATH, 1)
#endif
    :: true
    fi
}
