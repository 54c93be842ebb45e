/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whoever destroys a subprocess shuts its door and sleeps until the last one inside has left.
 *
 * models core/subprocess.c: subprocess_enter subprocess_leave subprocess_shut subprocess_drain
 */
#define ACTORS 3
#define USE    0
#define WORDS  1
#define SHUT   8 /* the mark; below it: how many are inside */
#define FIRST  {0}
#include "store_buffers.pml"

bool gone;

inline leave()
{
    d_step {
        MINE.count == 0;
        before = memory[USE];
        memory[USE] = before - 1
    };
    if
#ifndef WEAK_NO_WAKE
    :: before == (SHUT | 1) -> futex_wake(USE)
#endif
    :: else
    fi
}

active [2] proctype visitor()
{
    short before;

#ifdef WEAK_LOOK_BEFORE_COUNTING
    before = look(USE);
    add(USE, 1);
#else
    d_step {
        MINE.count == 0;
        before = memory[USE];
        memory[USE] = before + 1
    };
#endif
    if
    :: before & SHUT
    :: else -> assert(!gone)
    fi;
    leave()
}

active proctype destroyer()
{
    short use;

    add(USE, SHUT);
    do
    :: use = look(USE);
       if
       :: use == SHUT -> break
       :: else -> futex_wait(USE, use)
       fi
    od;
    gone = true
}
