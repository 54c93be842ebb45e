/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <sched.h>

#include "allowed_interrupts.h"
#include "threads.h"

#define A_FEW 4

static void *interrupt_as_allowed(void *argument)
{
    struct interrupter *interrupter = argument;

    while (!atomic_load(&interrupter->over)) {
        if (atomic_fetch_sub(&interrupter->allowed, 1) > 0)
            CHECK_OK(tg_context_interrupt(interrupter->context));
        sched_yield();
    }
    return NULL;
}

void interrupter_start(struct interrupter *interrupter, tg_context *context)
{
    *interrupter = (struct interrupter){.context = context};
    interrupter->thread = start_thread(interrupt_as_allowed, interrupter);
}

void interrupter_allow(struct interrupter *interrupter)
{
    atomic_store(&interrupter->allowed, A_FEW);
}

void interrupter_end(struct interrupter *interrupter)
{
    atomic_store(&interrupter->over, true);
    join_thread(interrupter->thread);
}
