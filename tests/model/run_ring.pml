/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Two workers take slots out of a run ring, and either may get no processor for a lap. A ring of two entries; the
 * library puts the second slot in again as soon as it has been run.
 *
 * models core/systrap/systrap_run.c: hand_over
 * models stub/systrap_run_ring.h: run_ring_put run_ring_take run_ring_number
 * models stub/systrap_worker.c: take_from_ring
 */
#define ACTORS  3
#define HEAD    0
#define ENTRIES 1
#define STATES  3
#define WORDS   5
#define SIZE    2
#define PUTS    3
#define IDLE    0
#define READY   1
#define FIRST   {0, 0, 0, IDLE, IDLE}
#include "store_buffers.pml"

/* A slot's number plus one is below four. Nobody takes what was not put there. */
#ifdef WEAK_CLEARED_BY_WORKER
#define entry_of(slot, position) ((slot) + 1)
#define number_in(entry, position) (entry)
#else
#define entry_of(slot, position) ((position) / SIZE * 4 + (slot) + 1)
#ifdef WEAK_ANY_LAP
#define number_in(entry, position) ((entry) % 4)
#else
#define number_in(entry, position) ((entry) / 4 == (position) / SIZE -> (entry) % 4 : 0)
#endif
#endif
#define at_head memory[ENTRIES + memory[HEAD] % SIZE]

inline put(slot, position)
{
    look(STATES + slot) == IDLE;
    store(STATES + slot, READY);
    swap(ENTRIES + position % SIZE, entry_of(slot, position))
}

active proctype library()
{
    put(0, 0);
    put(1, 1);
    put(1, 2);
    look(STATES) == IDLE;
    look(STATES + 1) == IDLE
}

active [2] proctype worker()
{
    short head;
    short number;
    short before;

end:
    do
    :: number_in(at_head, memory[HEAD]) ->
       head = look(HEAD);
       number = look(ENTRIES + head % SIZE);
       number = number_in(number, head);
       if
       :: number ->
          change(HEAD, head, head + 1, before);
          if
          :: before == head ->
             assert(head < PUTS);
#ifdef WEAK_CLEARED_BY_WORKER
             store(ENTRIES + head % SIZE, 0);
#endif
             change(STATES + number - 1, READY, IDLE, before)
          :: else
          fi
       :: else
       fi
    od
}
