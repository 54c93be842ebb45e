/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Of a stub that has run guests the syscall thread is as good as new: it runs
 * no guest, and uses no memory that one can write. All else is taken away: the
 * workers, what is in the stub's memory, the guest's own memory. Then there is
 * a first worker again, as in a new process.
 */
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory_calls.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/orders.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/seats.h"
#include "core/systrap/slots.h"
#include "core/systrap/stub_memory.h"
#include "core/systrap/systrap_reset.h"
#include "core/systrap/workers.h"
#include "core/systrap/workers_end.h"

/* ---- contexts ---- */

/* lock is held. Those that have the slots below n. */
static void give_back_contexts(struct systrap_subprocess *subprocess, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (subprocess->slot_contexts[i])
            context_give_back(&subprocess->slot_contexts[i]->base);
    }
}

/* All that have slots here. False: one of them runs, or somebody else has it, and nothing has changed. */
static bool take_contexts(struct systrap_subprocess *subprocess)
{
    bool taken = true;
    uint32_t n = 0;

    pthread_mutex_lock(&subprocess->lock);
    while (taken && n < subprocess->next_slot) {
        taken = !subprocess->slot_contexts[n] || context_take(&subprocess->slot_contexts[n]->base);
        n += taken;
    }
    if (!taken)
        give_back_contexts(subprocess, n);
    pthread_mutex_unlock(&subprocess->lock);
    return taken;
}

/* They were taken. Nobody else comes in, so none gets a slot meanwhile. */
static void unbind_contexts(struct systrap_subprocess *subprocess)
{
    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        struct systrap_context *context = subprocess->slot_contexts[i];

        if (!context)
            continue;
        slot_unbind(context);
        context_give_back(&context->base);
    }
}

/* ---- forgetting: neither workers nor contexts are there ---- */

/* Who waits for a queue may look at the rings: with the lock. */
static void forget_slots(struct systrap_subprocess *subprocess)
{
    pthread_mutex_lock(&subprocess->lock);
    stub_memory_clear(subprocess);
    subprocess->next_slot = 0;
    subprocess->free_count = 0;
    subprocess->backlog_head = 0;
    subprocess->backlog_since = 0;
    atomic_store(&subprocess->backlog_moved, 0);
    for (unsigned int ring = 0; ring < RINGS; ring++) {
        atomic_store(&subprocess->done_head[ring], 0);
        atomic_store(&subprocess->run_tail[ring], 0);
    }
    SHARED_STORE(control_of(subprocess)->sleepers, subprocess->sleepers);
    pthread_mutex_unlock(&subprocess->lock);
    atomic_store(&subprocess->words_used, false);
}

/* ---- the order ---- */

static size_t fill_order(struct systrap_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n)
{
    struct stub_call *calls = orders_of(subprocess)->calls;

    for (size_t i = 0; i < n; i++)
        memory_call_fill(&calls[i], &unmaps[i]);
    calls[n] = stub_memory_empty_aside(subprocess);
    calls[n + 1] = workers_call(subprocess);
    return n + 2;
}

static int give_order(struct systrap_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n)
{
    struct order_reply reply;
    int err = orders_give(subprocess, fill_order(subprocess, unmaps, n), &reply);

    if (!err)
        err = workers_note(subprocess, &reply);
    if (!err)
        memory_calls_made(&subprocess->base, unmaps, n, 0);
    return err;
}

/* order_lock is held, and the contexts were taken. After an error it is dead. */
static int make_empty(struct systrap_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n)
{
    int err;

    workers_ask_to_end(subprocess);
    unbind_contexts(subprocess);
    if (!workers_end(subprocess)) {
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        return -ESRCH;
    }
    forget_slots(subprocess);
    patches_forget(subprocess);
    err = give_order(subprocess, unmaps, n);
    if (err)
        systrap_subprocess_die(subprocess, TG_DEAD_DESTROYED, 0);
    return err;
}

int systrap_subprocess_reset(struct tg_subprocess *base, const struct tg_mem_op *unmaps, size_t n)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    int err;

    if (subprocess_is_dead(base))
        return -ESRCH;
    if (!subprocess_stay_alone(base))
        return -EBUSY;
    pthread_mutex_lock(&subprocess->order_lock);
    err = memory_calls_prepare(base, n);
    if (!err)
        err = take_contexts(subprocess) ? make_empty(subprocess, unmaps, n) : -EBUSY;
    pthread_mutex_unlock(&subprocess->order_lock);
    return err;
}
