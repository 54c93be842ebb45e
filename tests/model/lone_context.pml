/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A context is submitted to a queue that has no other, while its waiter looks and sleeps: the waiter looks at the slot
 * itself, and says when it is to find the slot in the done ring instead. The doorbell and the queue's own word are one
 * here, for it sleeps on both.
 *
 * models core/systrap/lone_context.h: lone_context_begin lone_context_with_event lone_context_wake
 * models core/systrap/lone_context.c: lone_context_sleep leave_note
 * models core/systrap/systrap_queue.c: systrap_queue_submit
 * models core/systrap/systrap_run.c: say_who_waits
 * models core/systrap/queue_events.c: systrap_queue_take_off keep systrap_queue_make_ready
 * models core/systrap/systrap_queue_wait.c: sleep_until something_there
 * models stub/systrap_worker.c: publish wake_waiter push_done
 */
#define ACTORS    3
#define SLEEPING  0
#define BELL      1
#define LONE      2
#define WAITING   3
#define STATE     4
#define FLIGHT    5
#define ENTRY     6
#define WAKE      7
#define WORDS     8
#define HELD      0
#define RUNNING   1
#define LOOKING   0
#define ON_RING   2
#define STARTING  1
#define IN_FLIGHT 2
#define ASKED_FOR 3
#define FIRST     {0, 0, 0, LOOKING, HELD, 0, 0, 0}
#include "store_buffers.pml"

/* systrap_subprocess.lock: taking it and giving it back orders memory. */
bit locked;

inline lock()
{
#ifdef WEAK_NO_LOCK
    fence()
#else
    fence();
    atomic { !locked -> locked = 1 }
#endif
}

inline unlock()
{
    fence();
    locked = 0
}

active proctype waiter()
{
    short bell;
    short lone;
    short seen;
    short found = 0;

    do
    :: swap(SLEEPING, 1);
#ifndef WEAK_BELL_READ_LATE
       bell = look(BELL);
#endif
#ifndef WEAK_SAID_AFTER_THE_LOOK
       lone = look(LONE);
       if
       :: lone ->
          swap(WAITING, ON_RING);
          seen = look(FLIGHT);
          if
          :: seen != IN_FLIGHT ->
             lock();
#ifndef WEAK_NO_NOTE
             change(FLIGHT, STARTING, ASKED_FOR, seen);
#endif
             unlock()
          :: else
          fi
       :: else
       fi;
#endif
#ifdef WEAK_BELL_READ_LATE
       bell = look(BELL);
#endif
       /* something_there() */
       found = look(ENTRY);
       lone = look(LONE);
       if
       :: !found && lone ->
          seen = look(FLIGHT);
          if
          :: seen == IN_FLIGHT ->
             seen = look(STATE);
             found = (seen == HELD)
          :: else
          fi
       :: else
       fi;
#ifdef WEAK_SAID_AFTER_THE_LOOK
       if
       :: lone -> swap(WAITING, ON_RING)
       :: else
       fi;
#endif
       if
       :: found
       :: else -> futex_wait(BELL, bell)
       fi;
       lone = look(LONE);
       if
       :: lone -> store(WAITING, LOOKING)
       :: else
       fi;
       swap(SLEEPING, 0);
       if
       :: found -> break
       :: else
       fi
    od;
    /* What was found is the event of this start. */
    seen = look(STATE);
    assert(seen == HELD)
}

active proctype submitter()
{
    short waiting;
    short sleeping;
    short before;

    swap(LONE, 1);
    /* systrap_start() */
    waiting = look(WAITING);
    if
    :: waiting != LOOKING -> store(WAITING, LOOKING)
    :: else
    fi;
    store(FLIGHT, STARTING);
    swap(STATE, RUNNING);
    add(WAKE, 1);
    futex_wake(WAKE);
#ifndef WEAK_NO_LOOK_FOR_A_SLEEPER
    sleeping = look(SLEEPING);
    if
    :: sleeping ->
       add(BELL, 1);
       futex_wake(BELL)
    :: else
    fi;
#endif
    /* systrap_queue_take_off() */
    change(FLIGHT, STARTING, IN_FLIGHT, before);
    if
    :: before != STARTING ->
       /* keep() */
       lock();
       waiting = look(STATE);
       if
       :: waiting == HELD ->
          unlock();
          swap(ENTRY, 1);
          add(BELL, 1);
          futex_wake(BELL)
       :: else ->
          swap(FLIGHT, IN_FLIGHT);
          unlock()
       fi
    :: else
    fi
}

active proctype worker()
{
    short waits;

    futex_wait(WAKE, 0);
    store(STATE, HELD);
#ifndef WEAK_NO_FENCE
    fence();
#endif
    waits = look(WAITING);
    if
    :: waits == ON_RING ->
       swap(ENTRY, 1);
       waits = look(SLEEPING);
       if
       :: waits ->
          add(BELL, 1);
          futex_wake(BELL)
       :: else
       fi
    :: else
    fi
}
