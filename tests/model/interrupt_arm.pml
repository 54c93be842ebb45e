/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Interrupts of a context that runs under a tracer: the guest is kicked, or the event says so; and nobody kicks a thread
 * from which the interrupt was disarmed.
 *
 * models core/interrupt.c: interrupt_raise interrupt_arm interrupt_disarm interrupt_take
 */
#define ACTORS  3
#define WORD    0
#define WORDS   1
#define PENDING 1
#define RAISER  2
#define RAISERS 6 /* at most two */
#define THREAD  8
#define FIRST   {0}
#include "store_buffers.pml"

bool kicked;
bool disarmed;
byte raised;
bool interrupted;

inline fetch_or(bits, was)
{
    d_step {
        MINE.count == 0;
        was = memory[WORD];
        memory[WORD] = was | (bits)
    }
}

inline fetch_and_not(bits, was)
{
    d_step {
        MINE.count == 0;
        was = memory[WORD];
        memory[WORD] = was & ~(bits)
    }
}

active [2] proctype raiser()
{
    short before;

#ifndef WEAK_RAISER_UNCOUNTED
    add(WORD, RAISER);
#endif
#ifdef WEAK_THREAD_SEEN_FIRST
    short seen = look(WORD);
    fetch_or(PENDING, before);
    before = seen;
#else
    fetch_or(PENDING, before);
#endif
    if
    :: (before & THREAD) && !(before & PENDING) ->
       assert(!disarmed);
       kicked = true
    :: else
    fi;
    raised++;
#ifndef WEAK_RAISER_UNCOUNTED
    add(WORD, -RAISER)
#endif
}

active proctype tracer()
{
    short word;
    short before;
    bool endless;

    if
    :: endless = true
    :: endless = false
    fi;
    /* interrupt_arm() */
    word = look(WORD);
    do
    :: word & PENDING ->
       fetch_and_not(PENDING, before);
       goto over
    :: else ->
#ifdef WEAK_ARMED_BY_A_BIT
       fetch_or(THREAD, before);
       break
#else
       change(WORD, word, word | THREAD, before);
       if
       :: before == word -> break
       :: else -> word = before
       fi
#endif
    od;
    /* The guest leaves by itself, or runs until somebody kicks it. */
    !endless || kicked;
    /* interrupt_disarm() */
    fetch_and_not(THREAD, word);
    do
    :: word & RAISERS -> word = look(WORD)
    :: else -> break
    od;
    disarmed = true;
    fetch_and_not(PENDING, before);
over:
    skip
}
