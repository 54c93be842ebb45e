/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A stub is reaped while others name it by its number: nobody names one that may be another process's already.
 *
 * models core/systrap/child.c: hold let_go child_reap
 */
#define ACTORS 3
#define USERS  0
#define CHILD  1
#define WORDS  2
#define FIRST  {0, 1}
#include "store_buffers.pml"

bool reaped;

inline use_number()
{
    short number;

#ifdef WEAK_LOOK_BEFORE_COUNTING
    number = look(CHILD);
    add(USERS, 1);
#else
    add(USERS, 1);
    number = look(CHILD);
#endif
    if
    :: number -> assert(!reaped)
    :: else
    fi;
    add(USERS, -1)
}

active [2] proctype user()
{
    use_number()
}

active proctype reaper()
{
#ifdef WEAK_USERS_LOOKED_AT_FIRST
    look(USERS) == 0;
#endif
#ifdef WEAK_CHILD_BY_A_STORE
    store(CHILD, 0);
#else
    swap(CHILD, 0);
#endif
#ifndef WEAK_USERS_LOOKED_AT_FIRST
    look(USERS) == 0;
#endif
    reaped = true
}
