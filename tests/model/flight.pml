/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queued context starts, and leaves an event or loses its subprocess before whoever started it has let it off: it is
 * delivered, and once. No scan by the clock comes to help.
 *
 * models core/systrap/systrap_run.c: systrap_start hand_over
 * models core/systrap/queue_events.c: systrap_queue_take_off keep claim claim_number drain systrap_queue_scan
 * models core/systrap/death.c: systrap_subprocess_die
 */
#define ACTORS        3
#define FLIGHT        0
#define STATE         1 /* of the slot */
#define DEATH         2
#define WORDS         3
#define NOT_IN_FLIGHT 0
#define STARTING      1
#define IN_FLIGHT     2
#define ASKED_FOR     3
#define AT_REST       0
#define RUNS          1
#define EVENT         2
#define FIRST         {NOT_IN_FLIGHT, AT_REST, 0}
#include "store_buffers.pml"

bool locked;
bool killed;
byte delivered;
byte ended;

inline lock()
{
    d_step {
        MINE.count == 0 && !locked;
        locked = true
    }
}

inline unlock()
{
    fence();
    locked = false
}

inline end_once()
{
    d_step {
        ended++;
        assert(ended < 3 || delivered == 1)
    }
}

/* claim(), with the lock. */
inline claim_it()
{
    do
    :: change(FLIGHT, IN_FLIGHT, NOT_IN_FLIGHT, flight);
       if
       :: flight == IN_FLIGHT ->
          delivered++;
          assert(delivered == 1);
          break
       :: flight == STARTING ->
#ifdef WEAK_NO_NOTE
          break
#else
          change(FLIGHT, STARTING, ASKED_FOR, flight);
          if
          :: flight == STARTING -> break
          :: else
          fi
#endif
       :: else -> break
       fi
    od
}

active proctype submitter()
{
    short flight;
    short dead;
    short state;

    /* systrap_start() has seen it alive, whatever happens from here on. */
    store(FLIGHT, STARTING);
#ifdef WEAK_START_BY_A_STORE
    store(STATE, RUNS);
#else
    swap(STATE, RUNS);
#endif
#ifndef WEAK_DEATH_LOOKED_AT_LAST
    dead = look(DEATH);
    if
    :: dead
    :: else ->
#endif
       change(FLIGHT, STARTING, IN_FLIGHT, flight);
#ifdef WEAK_DEATH_LOOKED_AT_LAST
       dead = look(DEATH);
#endif
       if
       :: flight == STARTING && !dead -> goto over
       :: else
       fi
#ifndef WEAK_DEATH_LOOKED_AT_LAST
    fi
#endif
    ;
    /* keep() */
    lock();
    dead = look(DEATH);
    state = look(STATE);
    store(FLIGHT, (dead || state == EVENT -> NOT_IN_FLIGHT : IN_FLIGHT));
    if
    :: dead || state == EVENT ->
       delivered++;
       assert(delivered == 1)
    :: else
    fi;
    unlock();
over:
    end_once()
}

/* The worker, and then whoever drains. */
active proctype collector()
{
    short flight;
    short state;

    do
    :: killed -> goto over
    :: state = look(STATE);
       if
       :: state == RUNS -> break
       :: else
       fi
    od;
    store(STATE, EVENT);
    fence();
    lock();
    claim_it();
    unlock();
over:
    end_once()
}

/* Whoever makes it die, and then whoever scans. */
active proctype killer()
{
    short flight;

    if
    :: true ->
       killed = true;
       swap(DEATH, 1);
       lock();
       claim_it();
       unlock()
    :: true
    fi;
    end_once()
}
