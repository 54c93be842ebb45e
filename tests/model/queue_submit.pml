/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A context is submitted to a queue whose waiter is about to sleep. No worker has time for it: the waiter has to find
 * one for it, and to sleep on the doorbell of a seat in which nothing ran when it looked. Whoever runs it again from
 * another queue does the same.
 *
 * models core/systrap/systrap_queue.c: systrap_queue_submit
 * models core/systrap/queue_events.c: run_again
 * models core/systrap/seats.c: systrap_seat_take
 * models core/systrap/systrap_queue_wait.c: sleep_until add_sleepers fill_words something_there
 * models core/systrap/upkeep.c: systrap_queue_find_workers
 * models core/systrap/workers.c: workers_backlog workers_add
 * models stub/systrap_worker.c: push_done
 */
#define ACTORS   3
#define SLEEPING 0
#define WORD     1
#define RUNNING  2 /* of the seat */
#define ENTRY    3 /* of the run ring */
#define WAKE     4 /* of the worker */
#define DONE     5 /* the entry of the done ring */
#define SLEEPERS 6
#define DOORBELL 7
#define WORDS    8
#define FIRST    {0, 0, 0, 0, 0, 0, 0, 0}
#include "store_buffers.pml"

/* futex_waitv(2), with the doorbell only if the seat is covered. */
inline sleep_on_words(word, covered, bell)
{
    fence();
    d_step {
        sleeps_on[_pid] = (memory[WORD] == word && (!covered || memory[DOORBELL] == bell) ->
            (1 << WORD) | (covered -> 1 << DOORBELL : 0) : 0)
    };
    sleeps_on[_pid] == 0
}

active proctype waiter()
{
    short word;
    short covered;
    short bell;
    short running;
    short found;

    do
    ::
#ifndef WEAK_SLEEPING_SAID_LATE
       swap(SLEEPING, 1);
#endif
       add(SLEEPERS, 1);
       /* fill_words() */
       word = look(WORD);
       covered = look(RUNNING);
       bell = look(DOORBELL);
       /* something_there() */
       running = look(RUNNING);
       found = look(DONE);
       found = found && running;
       if
       :: found
       :: else ->
          /* systrap_queue_find_workers() */
          running = look(RUNNING);
          if
          :: running ->
             running = look(ENTRY);
             if
             :: running ->
                add(WAKE, 1);
                futex_wake(WAKE)
             :: else
             fi
          :: else
          fi;
#ifdef WEAK_SLEEPING_SAID_LATE
          swap(SLEEPING, 1);
#endif
          sleep_on_words(word, covered, bell)
       fi;
       add(SLEEPERS, -1);
       swap(SLEEPING, 0);
       if
       :: found -> break
       :: else
       fi
    od
}

active proctype submitter()
{
    short sleeping;

#ifndef WEAK_RUNNING_COUNTED_LATE
    add(RUNNING, 1);
#endif
#ifdef WEAK_ENTRY_BY_A_STORE
    store(ENTRY, 1);
#else
    swap(ENTRY, 1);
#endif
    sleeping = look(SLEEPING);
    if
    :: sleeping ->
       add(WORD, 1);
       futex_wake(WORD)
    :: else
    fi
#ifdef WEAK_RUNNING_COUNTED_LATE
    ; add(RUNNING, 1)
#endif
}

active proctype worker()
{
    short sleepers;

    futex_wait(WAKE, 0);
    store(ENTRY, 0);
    swap(DONE, 1);
    sleepers = look(SLEEPERS);
    if
    :: sleepers ->
       add(DOORBELL, 1);
       futex_wake(DOORBELL)
    :: else
    fi
}
