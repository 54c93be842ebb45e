/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A worker holds context 1, gives it up for others that wait, or is given what is attached to its answer, and goes on to
 * context 2. What the library takes for brought by a call is that call's, and what the worker writes for an answer is that
 * answer's, though both contexts' bytes lie in the same places.
 *
 * models core/systrap/worker_place.c: worker_place_take worker_place_give_back
 * models core/systrap/worker_bytes.c: systrap_context_bring give_to_worker
 * models stub/systrap_worker.c: bring go_on_with_attached give_up_held next_slot
 */
#define ACTORS   3
#define STATE1   0
#define STATE2   1
#define TAKEN    2
#define ATTACHED 3 /* whose bytes lie where requests do */
#define BROUGHT  4 /* whose bytes lie where calls bring them */
#define WORDS    5
#define HELD     0
#define EVENT    1
#define GIVEN    2 /* SLOT_ATTACHED */
#define RUNNING  3
#define FIRST    {HELD, RUNNING, 0, 0, 1}
#include "store_buffers.pml"

/* Gives what is attached, or lets the context go on without. */
inline answer(state_at, context)
{
#ifdef WEAK_WITHOUT_THE_BIT
    before = 0;
#else
    exchange(TAKEN, 1, before);
#endif
    if
    :: before == 0 ->
#ifdef WEAK_NO_LOOK_AFTER_THE_BIT
       state = HELD;
#else
       state = look(state_at);
#endif
       if
       :: state == HELD ->
          store(ATTACHED, context);
          change(state_at, HELD, GIVEN, state)
       :: else
       fi;
       swap(TAKEN, 0)
    :: else
    fi;
    change(state_at, HELD, RUNNING, state)
}

active proctype library1()
{
    short state;
    short before;
    short bytes;

#ifdef WEAK_LOOK_BEFORE_THE_BYTES
    state = look(STATE1);
    bytes = look(BROUGHT);
#else
    bytes = look(BROUGHT);
    state = look(STATE1);
#endif
    assert(state != HELD || bytes == 1);
    answer(STATE1, 1)
}

active proctype library2()
{
    short state;
    short before;

    look(STATE2) == HELD;
    answer(STATE2, 2)
}

active proctype worker()
{
    short state;

    do
    :: state = look(STATE1);
       if
       :: state == GIVEN ->
          assert(look(ATTACHED) == 1);
          change(STATE1, GIVEN, RUNNING, state);
          break
       :: state == RUNNING -> break
       :: state == HELD ->
          change(STATE1, HELD, EVENT, state);
          if
          :: state == HELD -> break
          :: else
          fi
       :: true
       fi
    od;
    store(BROUGHT, 2);
    store(STATE2, HELD);
    do
    :: state = look(STATE2);
       if
       :: state == GIVEN ->
          assert(look(ATTACHED) == 2);
          break
       :: state == RUNNING -> break
       :: else
       fi
    od
}
