/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A subprocess is destroyed while a context that has a slot switches to it: the switch sees that the door is shut, or
 * is waited for.
 *
 * models core/handles.h: context_take_to_switch context_is_switching
 * models core/systrap/systrap_run.c: go_in
 * models core/subprocess.c: subprocess_shut
 * models core/systrap/systrap_subprocess.c: wait_for_switches is_switched_to
 */
#define ACTORS 2
#define STATE  0 /* of the context */
#define USE    1 /* of the subprocess */
#define WORDS  2
#define SHUT   1
#define FIRST  {0, 0}
#include "store_buffers.pml"

bool gone;

active proctype switch()
{
    short use;

#ifdef WEAK_LOOK_BEFORE_TAKING
    use = look(USE);
#endif
#ifdef WEAK_TAKEN_BY_A_STORE
    store(STATE, 1);
#else
    swap(STATE, 1);
#endif
#ifndef WEAK_LOOK_BEFORE_TAKING
    use = look(USE);
#endif
    if
    :: use == SHUT
    :: else -> assert(!gone)
    fi;
    store(STATE, 0)
}

active proctype destroyer()
{
#ifdef WEAK_STATE_LOOKED_AT_FIRST
    look(STATE) == 0;
#endif
#ifdef WEAK_SHUT_BY_A_STORE
    store(USE, SHUT);
#else
    swap(USE, SHUT);
#endif
#ifndef WEAK_STATE_LOOKED_AT_FIRST
    look(STATE) == 0;
#endif
    gone = true
}
