/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The collecting thread sleeps on a seat's doorbell until a worker of it has left an event, or the subprocess has died.
 *
 * models core/systrap/systrap_queue_wait.c: sleep_until add_sleepers fill_words something_there
 * models core/systrap/death.c: systrap_subprocess_die wake_everybody
 * models stub/systrap_worker.c: push_done
 */
#define ACTORS   2
#define SLEEPERS 0
#define DOORBELL 1
#define ENTRY    2
#define DEATH    3
#define WORDS    4
#define FIRST    {0, 0, 0, 0}
#include "store_buffers.pml"

active proctype waiter()
{
    short bell;
    short found;

    do
    ::
#ifndef WEAK_COUNTED_LATE
       add(SLEEPERS, 1);
#endif
#ifndef WEAK_BELL_READ_LATE
       bell = look(DOORBELL);
#endif
       found = look(ENTRY);
       if
       :: !found -> found = look(DEATH)
       :: else
       fi;
#ifdef WEAK_BELL_READ_LATE
       bell = look(DOORBELL);
#endif
#ifdef WEAK_COUNTED_LATE
       add(SLEEPERS, 1);
#endif
       if
       :: found
       :: else -> futex_wait(DOORBELL, bell)
       fi;
       add(SLEEPERS, -1);
       if
       :: found -> break
       :: else
       fi
    od
}

active proctype stub()
{
    short sleepers;

    if
    :: /* push_done() */
#ifdef WEAK_ENTRY_BY_A_STORE
       store(ENTRY, 1);
#else
       swap(ENTRY, 1);
#endif
       sleepers = look(SLEEPERS);
       if
       :: sleepers ->
#ifndef WEAK_BELL_UNCHANGED
          add(DOORBELL, 1);
#endif
          futex_wake(DOORBELL)
       :: else
       fi
    :: /* systrap_subprocess_die() */
#ifdef WEAK_DEATH_SAID_LATE
       add(DOORBELL, 1);
       futex_wake(DOORBELL);
       swap(DEATH, 1)
#else
       swap(DEATH, 1);
       add(DOORBELL, 1);
       futex_wake(DOORBELL)
#endif
    fi
}
