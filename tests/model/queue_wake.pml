/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The waiter sleeps on the queue's word until somebody wakes it, or has made an event ready.
 *
 * models core/queue_outlet.c: queue_wake queue_outlet_stop
 * models core/systrap/queue_rouse.c: systrap_queue_rouse
 * models core/systrap/systrap_queue_wait.c: sleep_until fill_words something_there
 * models core/systrap/queue_events.c: systrap_queue_make_ready
 */
#define ACTORS 2
#define WOKEN  0 /* or ready_count, or stopping */
#define WORD   1
#define WORDS  2
#define FIRST  {0, 0}
#include "store_buffers.pml"

active proctype waiter()
{
    short word;
    short woken;

    do
    ::
#ifdef WEAK_WORD_READ_LATE
       woken = look(WOKEN);
       word = look(WORD);
#else
       word = look(WORD);
       woken = look(WOKEN);
#endif
       if
       :: woken -> break
       :: else -> futex_wait(WORD, word)
       fi
    od
}

active proctype waker()
{
#ifndef WEAK_WOKEN_SAID_LATE
    swap(WOKEN, 1);
#endif
#ifndef WEAK_WORD_UNCHANGED
    add(WORD, 1);
#endif
    futex_wake(WORD)
#ifdef WEAK_WOKEN_SAID_LATE
    ; swap(WOKEN, 1)
#endif
}
