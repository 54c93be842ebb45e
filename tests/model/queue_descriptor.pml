/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue gets its descriptor while somebody wakes it: one of the two makes it readable. In between the backend rouses
 * who sleeps in its own way, which this leaves out.
 *
 * models core/queue_outlet.c: queue_wake queue_outlet_notify start_service
 */
#define ACTORS 2
#define WOKEN  0
#define FD     1
#define WORDS  2
#define FIRST  {0, 0}
#include "store_buffers.pml"

byte notified;
byte ended;

active proctype waker()
{
    short fd;

#ifdef WEAK_WOKEN_BY_A_STORE
    store(WOKEN, 1);
#else
    swap(WOKEN, 1);
#endif
    fd = look(FD);
    if
    :: fd -> notified = 1
    :: else
    fi;
    d_step {
        ended++;
        assert(ended < 2 || notified)
    }
}

active proctype service()
{
    short woken;

#ifdef WEAK_LOOK_BEFORE_FD
    woken = look(WOKEN);
#endif
#ifdef WEAK_FD_BY_A_STORE
    store(FD, 1);
#else
    swap(FD, 1);
#endif
#ifndef WEAK_LOOK_BEFORE_FD
    woken = look(WOKEN);
#endif
    if
    :: woken -> notified = 1
    :: else
    fi;
    d_step {
        ended++;
        assert(ended < 2 || notified)
    }
}
