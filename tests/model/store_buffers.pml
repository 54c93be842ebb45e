/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Memory as x86-64 shows it: what an actor stores waits in a buffer of its own,
 * first in, first out, and comes to memory at any later moment. Its own looks
 * find it there before that; those of others do not. A fence, an exchange or
 * another locked instruction waits until the buffer is empty.
 *
 * A model defines ACTORS, WORDS and what is in memory at first, includes this,
 * and has one active proctype for each actor. A model has no clocks: what
 * nobody wakes sleeps for ever, and spin calls that an invalid end state.
 */
#define DEPTH 2

typedef store_buffer {
    byte count;
    byte word[DEPTH];
    short value[DEPTH]
};

/* Of an actor by its _pid; 0 is the process that empties them. */
store_buffer buffers[ACTORS + 1];
short memory[WORDS] = FIRST;
/* The words that it sleeps on in futex(2), one bit each. */
int sleeps_on[ACTORS + 1];

#define MINE buffers[_pid]

/* What the actor sees in a word. Once in each statement: two looks are two steps. */
#define look(at) \
    (MINE.count == 2 && MINE.word[1] == (at) -> MINE.value[1] : \
     (MINE.count >= 1 && MINE.word[0] == (at) -> MINE.value[0] : memory[at]))

inline store(at, what)
{
    d_step {
        MINE.count < DEPTH;
        MINE.word[MINE.count] = at;
        MINE.value[MINE.count] = what;
        MINE.count++
    }
}

inline fence()
{
    MINE.count == 0
}

inline swap(at, what)
{
    d_step {
        MINE.count == 0;
        memory[at] = what
    }
}

inline add(at, what)
{
    d_step {
        MINE.count == 0;
        memory[at] = memory[at] + (what)
    }
}

/* before: what was there. */
inline exchange(at, what, before)
{
    d_step {
        MINE.count == 0;
        before = memory[at];
        memory[at] = what
    }
}

/* Compare and exchange; before == from: it was done. */
inline change(at, from, to, before)
{
    d_step {
        MINE.count == 0;
        before = memory[at];
        memory[at] = (before == (from) -> (to) : before)
    }
}

/* futex(2) orders memory before it compares, and before it looks for sleepers. */
inline futex_wait(at, expected)
{
    fence();
    d_step {
        sleeps_on[_pid] = (memory[at] == (expected) -> 1 << (at) : 0)
    };
    sleeps_on[_pid] == 0
}

inline futex_wake(at)
{
    fence();
    d_step {
        sleeps_on[1] = (sleeps_on[1] & (1 << (at)) -> 0 : sleeps_on[1]);
        sleeps_on[2] = (sleeps_on[2] & (1 << (at)) -> 0 : sleeps_on[2])
#if ACTORS > 2
        ; sleeps_on[3] = (sleeps_on[3] & (1 << (at)) -> 0 : sleeps_on[3])
#endif
    }
}

inline drain(actor)
{
    d_step {
        buffers[actor].count > 0;
        memory[buffers[actor].word[0]] = buffers[actor].value[0];
        buffers[actor].word[0] = buffers[actor].word[1];
        buffers[actor].value[0] = buffers[actor].value[1];
        buffers[actor].word[1] = 0;
        buffers[actor].value[1] = 0;
        buffers[actor].count--
    }
}

active proctype processor()
{
end:
    do
    :: drain(1)
    :: drain(2)
#if ACTORS > 2
    :: drain(3)
#endif
    od
}
