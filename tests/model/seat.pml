/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The seat of a dead subprocess is removed from its queue, unless a context runs in it. Whoever submits one counts it
 * before he looks whether the subprocess lives.
 *
 * models core/systrap/seats.c: systrap_seat_take systrap_seats_remove
 * models core/systrap/systrap_run.c: systrap_start
 * models core/systrap/death.c: systrap_subprocess_die
 */
#define ACTORS  3
#define RUNNING 0
#define DEATH   1
#define WORDS   2
#define FIRST   {0, 0}
#include "store_buffers.pml"

bool runs;
bool removed;

active proctype submitter()
{
    short dead;

#ifdef WEAK_LOOK_BEFORE_COUNTING
    dead = look(DEATH);
#endif
#ifdef WEAK_RUNNING_BY_A_STORE
    store(RUNNING, 1);
#else
    add(RUNNING, 1);
#endif
#ifndef WEAK_LOOK_BEFORE_COUNTING
    dead = look(DEATH);
#endif
    runs = !dead;
    assert(!runs || !removed)
}

active proctype killer()
{
    swap(DEATH, 1)
}

active proctype remover()
{
    short dead;
    short running;

#ifdef WEAK_DEATH_LOOKED_AT_LAST
    running = look(RUNNING);
    dead = look(DEATH);
#else
    dead = look(DEATH);
    running = look(RUNNING);
#endif
    removed = (dead && !running);
    assert(!runs || !removed)
}
