/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A subprocess dies once, for one reason, and everybody who waits for it hears of it. */
#include <sched.h>

#include "core/subprocess_life.h"
#include "core/systrap/child.h"
#include "core/systrap/death.h"
#include "core/systrap/events.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"

/*
 * Wakes who sleeps on the slot's state. Who has looked at death too early finds the state changed when it calls
 * futex(2). A switch stores the state and then changes waiting; this changes waiting and then looks at the state:
 * through that one word it sees what the switch has stored, or the switch sees the death. Pairs with
 * systrap_sleep_until_arrived() and wait_for_drop().
 */
static void wake_slot(struct systrap_slot *slot)
{
    SHARED_ADD(slot->waiting, 0);
    if (!state_has_event(SHARED_LOOK(slot->state)))
        SHARED_SWAP(slot->state, SLOT_GONE);
    shared_change(&slot->state, SLOT_DROP, SLOT_GONE);
    shared_futex_wake(&slot->state);
}

/*
 * Those who sleep look again, and see that it is dead. Pairs with systrap_sleep_until_arrived(), sleep_until(),
 * wait_for_reply() and wait_for_drop().
 */
static void wake_everybody(struct systrap_subprocess *subprocess)
{
    struct systrap_control *control = control_of(subprocess);

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        if (subprocess->slot_contexts[i])
            wake_slot(slot_of(subprocess, i));
    }
    pthread_mutex_unlock(&subprocess->lock);
    SHARED_ADD(control->reply, 1u << 31);
    shared_futex_wake(&control->reply);
    SHARED_ADD(control->doorbell, 1);
    shared_futex_wake(&control->doorbell);
}

void systrap_subprocess_die(struct systrap_subprocess *subprocess, int32_t reason, int32_t status)
{
    if (subprocess_begin_death(&subprocess->base, reason, status)) {
        /* Killed by this thread alone, before the subprocess is marked dead: after that its pidfd may be closed. */
        if (platform_is_ours(subprocess->base.platform))
            subprocess->kill_refused = !child_kill(subprocess);
        atomic_store(&subprocess->base.pid, 0);
        subprocess_end_death(&subprocess->base);
    }
    /* Who was not the first to find out reads the reason when this returns, so it has to be there. */
    while (!subprocess_is_dead(&subprocess->base))
        sched_yield();
    wake_everybody(subprocess);
}
