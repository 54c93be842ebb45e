/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * An interrupt of a context in a slot, which starts on a worker that had it last or on another. The kick finds it
 * running and comes to the worker that runs it, or the start finds the interrupt, or the worker finds the kick.
 *
 * models core/interrupt.c: interrupt_raise
 * models core/systrap/systrap_run.c: kick systrap_start hand_over
 * models core/systrap/workers.c: worker_kick
 * models stub/systrap_worker.c: make_current in_patched_call
 * models arch/x86_64/systrap_entry.S: tg_systrap_exit
 */
#define ACTORS  3
#define CONTEXT 0 /* its state: running? */
#define PENDING 1 /* in the interrupt's word */
#define KICKED  2
#define KICK    3 /* of the slot */
#define WORKER  4 /* of the slot: who runs it or did last */
#define STATE   5 /* of the slot */
#define WORDS   6
#define OTHER   0
#define THIS    1
#define FIRST   {0, 0, 0, 0, OTHER, 0}
#include "store_buffers.pml"

bool begun;
bool signalled;
bool over;

active proctype raiser()
{
    short running;
    short worker;

    begun;
    swap(PENDING, 1);
    running = look(CONTEXT);
    if
    :: running ->
       swap(KICKED, 1);
#ifdef WEAK_KICK_BY_A_STORE
       store(KICK, 1);
#else
       swap(KICK, 1);
#endif
       worker = look(WORKER);
       fence(); /* tgkill(2) */
       if
       :: worker == THIS -> signalled = true
       :: else
       fi
    :: else
    fi
}

active proctype starter()
{
    short seen;

#ifndef WEAK_TAKEN_LATE
    swap(CONTEXT, 1);
#endif
#ifndef WEAK_KICK_CLEARED_LATE
    seen = look(KICKED);
    if
    :: seen ->
       swap(KICKED, 0);
       swap(KICK, 0)
    :: else
    fi;
#endif
    d_step {
        MINE.count == 0;
        seen = memory[PENDING];
        memory[PENDING] = 0
    };
    if
    :: seen ->
       over = true;
       goto ended
    :: else
    fi;
#ifdef WEAK_KICK_CLEARED_LATE
    seen = look(KICKED);
    if
    :: seen ->
       swap(KICKED, 0);
       swap(KICK, 0)
    :: else
    fi;
#endif
#ifdef WEAK_TAKEN_LATE
    swap(CONTEXT, 1);
#endif
    swap(STATE, 1);
ended:
    skip
}

active proctype worker()
{
    short kick;

    if
    :: memory[WORKER] = THIS
    :: true
    fi;
    begun = true;
    (look(STATE) == 1 || over);
    if
    :: over -> goto ended
    :: else
    fi;
    /* make_current() */
    if
    :: look(WORKER) == THIS
    :: else ->
       store(WORKER, THIS);
#ifndef WEAK_NO_FENCE
       fence()
#endif
    fi;
    /* A signal that comes here does nothing: tg_systrap_exit looks. */
    if
    :: signalled ->
       fence();
#ifdef WEAK_KICK_TAKEN_UNREPORTED
       swap(KICK, 0);
#endif
       signalled = false
    :: true
    fi;
    kick = look(KICK);
    if
    :: kick
    :: else ->
       /* On its way out and in the guest the handler looks. */
       do
       :: signalled ->
          fence();
          signalled = false;
          exchange(KICK, 0, kick);
          if
          :: kick -> break
          :: else
          fi
       od
    fi;
ended:
    skip
}
