/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue's owner falls asleep in wait4(2), and only its bell ends that: a wake or an interrupt signals it, or the owner
 * sees that there is one. A bell that is signalled before it sleeps keeps the signal.
 *
 * models core/queue_outlet.c: queue_wake queue_outlet_stop
 * models core/ptrace/ptrace_queue_wait.c: ptrace_queue_rouse show_bell has_work ptrace_queue_sleep_once
 * models core/ptrace/queue_run.c: arm_one
 * models core/interrupt.c: interrupt_raise interrupt_arm_waiting
 */
#define ACTORS  2
#define WOKEN   0
#define BELL    1
#define WORD    2 /* of the interrupt */
#define WORDS   3
#define PENDING 1 /* in it */
#define THREAD  2
#define FIRST   {0, 0, 0}
#include "store_buffers.pml"

bool begun;
bool waits; /* a context, in the line of those to be started */
bool signalled;

active proctype owner()
{
    short found;
    short pending;

    if
    :: waits = true
    :: true
    fi;
    begun = true;
#ifdef WEAK_LOOK_BEFORE_BELL
    found = look(WOKEN);
#endif
#ifdef WEAK_BELL_BY_A_STORE
    store(BELL, 1);
#else
    swap(BELL, 1);
#endif
    if
    :: waits ->
       /* arm_one(); the other bits stay. */
#ifdef WEAK_LOOK_BEFORE_THREAD
       pending = look(WORD);
#endif
       add(WORD, THREAD);
#ifndef WEAK_LOOK_BEFORE_THREAD
       pending = look(WORD);
#endif
       if
       :: pending & PENDING -> signalled = true
       :: else
       fi
    :: else
    fi;
#ifndef WEAK_LOOK_BEFORE_BELL
    found = look(WOKEN);
#endif
    if
    :: found
    :: else -> signalled
    fi;
    swap(BELL, 0)
}

active proctype other()
{
    short seen;

    begun;
    if
    :: /* queue_wake(), ptrace_queue_rouse() */
#ifdef WEAK_WOKEN_BY_A_STORE
       store(WOKEN, 1);
#else
       swap(WOKEN, 1);
#endif
       seen = look(BELL)
    :: waits -> /* interrupt_raise() */
#ifdef WEAK_THREAD_SEEN_FIRST
       seen = look(WORD) & THREAD;
       add(WORD, PENDING)
#else
       d_step {
           MINE.count == 0;
           seen = memory[WORD] & THREAD;
           memory[WORD] = memory[WORD] | PENDING
       }
#endif
    fi;
    if
    :: seen -> signalled = true
    :: else
    fi
}
