/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A subprocess is destroyed, and the FP state of contexts that workers hold is fetched before. Whoever collects an event
 * that came too late for that sees the door shut, and calls it destroyed.
 *
 * models core/subprocess.c: subprocess_shut
 * models core/systrap/slots.c: slots_rescue ask_all_to_drop
 * models core/systrap/events.c: systrap_collect
 * models core/systrap/events.h: systrap_left_something
 * models stub/systrap_worker.c: publish
 */
#define ACTORS 3
#define STATE  0 /* of the slot */
#define USE    1 /* of the subprocess */
#define WORDS  2
#define HELD   1
#define SHUT   1
#define FIRST  {0, 0}
#include "store_buffers.pml"

bool delivered;
bool missed;

active proctype worker()
{
    store(STATE, HELD)
}

active proctype collector()
{
    short use;

#ifdef WEAK_DOOR_LOOKED_AT_FIRST
    use = look(USE);
#endif
    look(STATE) == HELD;
#ifndef WEAK_DOOR_LOOKED_AT_FIRST
    use = look(USE);
#endif
    delivered = (use != SHUT);
    assert(!delivered || !missed)
}

active proctype destroyer()
{
    short state;

#ifdef WEAK_SHUT_LATE
    state = look(STATE);
#endif
#ifdef WEAK_SHUT_BY_A_STORE
    store(USE, SHUT);
#else
    swap(USE, SHUT);
#endif
#ifndef WEAK_SHUT_LATE
    state = look(STATE);
#endif
    missed = (state != HELD);
    assert(!delivered || !missed)
}
