/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "soak.h"

#include "arch.h"
#include "guests.h"

#define CALL_ARGUMENTS 6
#define SP_OFFSET      12

GUEST_DECLARE(soak);
GUEST_DECLARE(soak_slow);

struct guest_code soak_code(void)
{
    return GUEST_CODE(soak);
}

struct guest_code soak_slow_code(void)
{
    return GUEST_CODE(soak_slow);
}

uint64_t next_number(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

void soaker_restart(struct soaker *soaker)
{
    CHECK_OK(tg_context_start(soaker->context, GUEST_CODE_AT, GUEST_STACK_TOP));
    arch_set_argument(soaker->context, 0, soaker->seed);
}

void soaker_open(struct soaker *soaker, tg_platform *platform, uint64_t seed)
{
    soaker->context = create_context(platform);
    soaker->seed = seed;
    soaker->turns = 0;
    soaker_restart(soaker);
}

void soaker_close(struct soaker *soaker)
{
    tg_context_destroy(soaker->context);
}

void soaker_answer(struct soaker *soaker, const tg_event *event)
{
    CHECK_CALL(event, GUEST_CALL);
    CHECK(event->context == soaker->context);
    for (unsigned int i = 0; i < CALL_ARGUMENTS; i++) {
        CHECK_EQ(event->u.syscall.args[i], soaker->seed + i);
        CHECK_EQ(arch_argument(soaker->context, i), soaker->seed + i);
    }
    CHECK_EQ(arch_sp(soaker->context), soaker->seed + SP_OFFSET);
    CHECK_EQ(arch_ip(soaker->context), event->u.syscall.ip);
    next_number(&soaker->seed);
    CHECK_OK(tg_context_set_return(soaker->context, (int64_t)soaker->seed));
    soaker->turns++;
}

void soaker_turn(struct soaker *soaker, tg_subprocess *subprocess)
{
    tg_event event;
    run_context(soaker->context, subprocess, &event);
    soaker_answer(soaker, &event);
}
