/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The library sleeps until the syscall thread has answered an order, or the subprocess has died. Either may happen
 * while the other does.
 *
 * models core/systrap/orders.c: orders_give wait_for_reply
 * models core/systrap/death.c: systrap_subprocess_die wake_everybody
 * models arch/x86_64/systrap_entry.S: wait_for_order reply
 */
#define ACTORS  3
#define REQUEST 0
#define REPLY   1
#define WAITING 2
#define DEATH   3
#define WORDS   4
#define DIES    100 /* what a death adds to the reply */
#define FIRST   {0, 0, 0, 0}
#include "store_buffers.pml"

bool killed;

active proctype library()
{
    short reply;
    short dead;

    swap(REQUEST, 1);
    futex_wake(REQUEST);
    swap(WAITING, 1);
    do
    ::
#ifdef WEAK_DEATH_LOOKED_AT_FIRST
       dead = look(DEATH);
       reply = look(REPLY);
#else
       reply = look(REPLY);
       dead = look(DEATH);
#endif
       if
       :: dead || reply == 1 -> break
       :: else -> futex_wait(REPLY, reply)
       fi
    od;
    swap(WAITING, 0)
}

active proctype syscall_thread()
{
    short order;
    short waiting;

    do
    :: order = look(REQUEST);
       if
       :: order -> break
       :: else
       fi;
       futex_wait(REQUEST, 0)
    od;
    if
    :: killed
    :: true ->
#ifdef WEAK_REPLY_BY_A_STORE
       store(REPLY, 1);
#else
       swap(REPLY, 1);
#endif
       waiting = look(WAITING);
       if
       :: waiting -> futex_wake(REPLY)
       :: else
       fi
    fi
}

active proctype killer()
{
    if
    :: true ->
       killed = true;
#ifndef WEAK_DEATH_SAID_LATE
       swap(DEATH, 1);
#endif
#ifndef WEAK_REPLY_UNCHANGED
       add(REPLY, DIES);
#endif
       futex_wake(REPLY)
#ifdef WEAK_DEATH_SAID_LATE
       ; swap(DEATH, 1)
#endif
    :: true
    fi
}
