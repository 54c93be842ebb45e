/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A thread that has looked for its context's event leaves the context to a queue, whose waiter sleeps or is about to.
 * The event is the thread's or the waiter's, never nobody's. The waiter sleeps on the doorbell of a seat only while
 * something runs there, and on the queue's own word.
 *
 * models core/systrap/switch_or_submit.c: leave_to_queue
 * models core/systrap/seats.c: systrap_seat_take
 * models core/systrap/queue_events.c: systrap_queue_take_off keep claim
 * models core/systrap/systrap_queue_wait.c: sleep_until add_sleepers fill_words something_there
 * models stub/systrap_worker.c: publish wake_waiter push_done
 */
#define ACTORS    3
#define SLEEPING  0 /* also control.sleepers: the waiter says both before it looks */
#define BELL      1
#define RUNNING   2 /* of the seat */
#define WAITING   3
#define STATE     4
#define FLIGHT    5
#define ENTRY     6
#define WORD      7
#define WORDS     8
#define HELD      1
#define LOOKING   0
#define ON_RING   2
#define STARTING  1
#define IN_FLIGHT 2
#define ASKED_FOR 3
#define FIRST     {0, 0, 0, LOOKING, 0, 0, 0, 0}
#include "store_buffers.pml"

/* systrap_subprocess.lock: taking it and giving it back orders memory. */
bit locked;
bit kept;  /* the thread has the context again */
bit taken; /* the waiter has its event */

inline lock()
{
    fence();
    atomic { !locked -> locked = 1 }
}

inline unlock()
{
    fence();
    locked = 0
}

/* futex_waitv(2), with the doorbell only if the seat is covered. */
inline sleep_on_words(word, covered, bell)
{
    fence();
    d_step {
        sleeps_on[_pid] = (memory[WORD] == word && (!covered || memory[BELL] == bell) ->
            (1 << WORD) | (covered -> 1 << BELL : 0) : 0)
    };
    sleeps_on[_pid] == 0
}

active proctype waiter()
{
    short word;
    short covered;
    short bell;
    short running;
    short found;
    short before;

    do
    :: swap(SLEEPING, 1);
       /* fill_words() */
       word = look(WORD);
       covered = look(RUNNING);
       bell = look(BELL);
       /* something_there() */
       running = look(RUNNING);
       found = look(ENTRY);
       if
       :: found && running ->
          lock();
          exchange(ENTRY, 0, found);
          /* claim_number() */
          found = look(STATE);
          if
          :: found == HELD ->
             change(FLIGHT, IN_FLIGHT, 0, before);
             if
             :: before == IN_FLIGHT -> taken = 1
             :: else -> change(FLIGHT, STARTING, ASKED_FOR, before)
             fi
          :: else
          fi;
          unlock()
       :: else ->
          if
          :: kept
          :: else -> sleep_on_words(word, covered, bell)
          fi
       fi;
       swap(SLEEPING, 0);
       if
       :: taken || kept -> break
       :: else
       fi
    od;
    assert(!(taken && kept))
}

active proctype leaver()
{
    short seen;

    add(RUNNING, 1);
    store(FLIGHT, STARTING);
#ifdef WEAK_SAID_BY_A_STORE
    store(WAITING, ON_RING);
#else
#ifndef WEAK_SAID_AFTER_THE_LOOK
    swap(WAITING, ON_RING);
#endif
#endif
#ifndef WEAK_NO_LOOK_FOR_A_SLEEPER
    seen = look(SLEEPING);
    if
    :: seen ->
       add(WORD, 1);
       futex_wake(WORD)
    :: else
    fi;
#endif
#ifdef WEAK_SAID_BY_A_STORE
    /* Nothing of keep() but the look. */
    seen = look(STATE);
#else
    lock();
    seen = look(STATE);
#endif
    if
    :: seen == HELD ->
       swap(FLIGHT, 0);
       kept = 1
    :: else ->
       swap(FLIGHT, IN_FLIGHT)
    fi;
#ifdef WEAK_SAID_AFTER_THE_LOOK
    swap(WAITING, ON_RING);
#endif
#ifndef WEAK_SAID_BY_A_STORE
    unlock();
#endif
    /* The model ends when somebody has the event: the waiter need not sleep on for other contexts. */
    if
    :: kept ->
       add(WORD, 1);
       futex_wake(WORD)
    :: else
    fi
}

active proctype worker()
{
    short waits;

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
