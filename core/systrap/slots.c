/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A context's place in a subprocess's shared memory, and moving its state there and back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/no_cancel.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/patching/patched_threads.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/slots.h"
#include "core/systrap/statistics.h"
#include "core/systrap/stub_memory.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/worker_answers.h"
#include "core/systrap/workers.h"

#define RESCUE_NS           (10 * NS_PER_SECOND)
#define KICKED_THROUGH_SLOT 1 /* stands for a thread: interrupt.kick finds the worker */

static uint8_t *slot_fp(const struct systrap_context *context)
{
    return (uint8_t *)context->slot + systrap_platform(context->base.platform)->config.fp_offset;
}

/* ---- giving out ---- */

static int grow_slot_contexts(struct systrap_subprocess *subprocess)
{
    uint32_t size = subprocess->slot_contexts_size ? 2 * subprocess->slot_contexts_size : 16;
    void *slot_contexts = realloc(subprocess->slot_contexts, size * sizeof(subprocess->slot_contexts[0]));
    void *free_slots;

    if (!slot_contexts)
        return -ENOMEM;
    subprocess->slot_contexts = slot_contexts;
    free_slots = realloc(subprocess->free_slots, size * sizeof(subprocess->free_slots[0]));
    if (!free_slots)
        return -ENOMEM;
    subprocess->free_slots = free_slots;
    subprocess->slot_contexts_size = size;
    return 0;
}

static int take_number(struct systrap_subprocess *subprocess, uint32_t *number)
{
    if (subprocess->free_count) {
        *number = subprocess->free_slots[--subprocess->free_count];
        return 0;
    }
    if (subprocess->next_slot == systrap_platform(subprocess->base.platform)->slots_max)
        return -EAGAIN;
    if (subprocess->next_slot == subprocess->slot_contexts_size && grow_slot_contexts(subprocess))
        return -ENOMEM;
    if (stub_memory_reach(subprocess, subprocess->next_slot + 1))
        return -ENOMEM;
    *number = subprocess->next_slot++;
    return 0;
}

/* Waits for a worker to drop the context. 0; -ESRCH: the stub is dead; -EIO: no answer. Pairs with its drop_held(). */
static int wait_for_drop(struct systrap_subprocess *subprocess, struct systrap_slot *slot, int64_t stopped_ns)
{
    struct watchdog_wait wait = {.look_at = 0};

    while (SHARED_LOAD(slot->state) == SLOT_DROP) {
        if (subprocess_is_dead(&subprocess->base))
            return -ESRCH;
        if (watchdog_waits_in_vain(subprocess, &wait, stopped_ns))
            return -EIO;
        shared_futex_wait(&slot->state, SLOT_DROP, wait.look_at);
    }
    return SHARED_LOAD(slot->state) == SLOT_EVENT ? 0 : -ESRCH;
}

/* First waits until no worker holds the context that had the slot before: slot_unbind() did not wait for that. */
static void prepare_slot(struct systrap_context *context)
{
    struct systrap_slot *slot = context->slot;

    if (wait_for_drop(context->bound, slot, WATCHDOG_OPERATION) == -EIO)
        systrap_subprocess_die(context->bound, TG_DEAD_CORRUPT, 0);
    slot->number = context->number;
    slot->queued = 0;
    SHARED_STORE(slot->kick, 0); /* preempt() may have meant the context that had the slot before */
    context->queued = false;
    slot->resume = 0;
    slot->fp_at = 0;
    SHARED_SWAP(slot->state, SLOT_EVENT);
    interrupt_arm_waiting(&context->base.interrupt, 0, KICKED_THROUGH_SLOT);
}

int slot_move(struct systrap_context *context, struct systrap_subprocess *subprocess)
{
    NO_CANCELLATION;
    int err;

    slot_unbind(context);
    pthread_mutex_lock(&subprocess->lock);
    err = take_number(subprocess, &context->number);
    if (!err) {
        subprocess->slot_contexts[context->number] = context;
        context->bound = subprocess;
        context->slot = slot_of(subprocess, context->number);
    }
    pthread_mutex_unlock(&subprocess->lock);
    if (err == -EAGAIN)
        return platform_fail(context->base.platform, err,
                             "run a context: %u contexts have state in this subprocess, and there is room for no more",
                             systrap_platform(context->base.platform)->slots_max);
    if (err)
        return platform_fail(
            context->base.platform, err,
            "run a context: no memory for its state, or RLIMIT_FSIZE is below what the stub's memory needs");
    subprocess_hold(&subprocess->base);
    prepare_slot(context);
    words_bring(context);
    return 0;
}

/*
 * Asks the worker that holds the context to save the FP state, which only the
 * worker has, and to forget the context. Returns the slot's state before: HELD or
 * ASLEEP if there is such a worker, DROP if it was asked already.
 */
static uint32_t ask_to_drop(struct systrap_subprocess *subprocess, struct systrap_slot *slot)
{
    uint32_t before;

    /* This process was forked: the worker belongs to its parent, which may go on with the context. */
    if (!platform_may_be_ours(subprocess->base.platform))
        return SLOT_EVENT;
    before = shared_take_held(&slot->state, SLOT_DROP);

    if (before == SLOT_HELD || before == SLOT_ASLEEP)
        worker_wake(subprocess, SHARED_LOAD(slot->worker) % SYSTRAP_WORKERS_MAX);
    return before;
}

static int recall(struct systrap_context *context, int64_t stopped_ns)
{
    switch (ask_to_drop(context->bound, context->slot)) {
    case SLOT_HELD:
    case SLOT_ASLEEP:
    case SLOT_DROP:
        return wait_for_drop(context->bound, context->slot, stopped_ns);
    case SLOT_EVENT:
        return 0;
    default:
        return -ESRCH;
    }
}

void slot_unbind(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;

    if (!subprocess)
        return;
    interrupt_disarm(&context->base.interrupt);
    systrap_queue_leave_seat(context);
    if (context_regs_place(&context->base) == REGS_BACKEND)
        slot_pull_regs(context);
    context_place_regs(&context->base, REGS_HERE);
    if (slot_pull_fp(context, WATCHDOG_TEARDOWN) == -EIO)
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    words_take_away(context);
    /* Does not wait for the worker that holds the context: nobody needs its state, and who gets the slot next waits. */
    ask_to_drop(subprocess, context->slot);
    pthread_mutex_lock(&subprocess->lock);
    subprocess->slot_contexts[context->number] = NULL;
    subprocess->free_slots[subprocess->free_count++] = context->number;
    context->bound = NULL;
    pthread_mutex_unlock(&subprocess->lock);
    subprocess_release(&subprocess->base);
}

/* ---- before the subprocess goes ---- */

/* False: some workers copy guest memory (worker_copy.c) and must be asked again after that. *n: slots there are. */
static bool ask_all_to_drop(struct systrap_subprocess *subprocess, uint32_t *n)
{
    bool asked = true;

    pthread_mutex_lock(&subprocess->lock);
    *n = subprocess->next_slot;
    for (uint32_t i = 0; i < *n; i++) {
        if (subprocess->slot_contexts[i])
            asked &= !state_is_copying(ask_to_drop(subprocess, slot_of(subprocess, i)));
    }
    pthread_mutex_unlock(&subprocess->lock);
    return asked;
}

/* Not for ever: a guest can write COPYING into its slots again and again. */
static uint32_t ask_until_asked(struct systrap_subprocess *subprocess)
{
    const int64_t until = clock_monotonic_ns() + WATCHDOG_DESTROY;
    uint32_t n;

    for (unsigned int i = 0; !ask_all_to_drop(subprocess, &n); i++) {
        if (clock_monotonic_ns() >= until || subprocess_is_dead(&subprocess->base))
            break;
        clock_pause_between_looks(i);
    }
    return n;
}

/*
 * Waits without the lock, which whoever finds the stub dead takes to wake the others. A guest can make each wait long,
 * so there is a limit for all. The door was shut before. Pairs with systrap_collect().
 */
void slots_rescue(struct systrap_subprocess *subprocess)
{
    const int64_t until = clock_monotonic_ns() + RESCUE_NS;
    uint32_t n = ask_until_asked(subprocess);

    for (uint32_t i = 0; i < n && clock_monotonic_ns() < until && !subprocess_is_dead(&subprocess->base); i++) {
        if (wait_for_drop(subprocess, slot_of(subprocess, i), WATCHDOG_DESTROY) == -EIO)
            return;
    }
}

/* ---- fetching ---- */

void slot_pull_regs(struct systrap_context *context)
{
    struct tg_context *base = &context->base;

    tgi_arch_systrap->read_regs(context->slot, &base->regs);
    tgi_arch.regs_stopped(&base->regs, base->in_syscall ? &base->syscall : NULL);
    if (context->return_set)
        tgi_arch.set_return(&base->regs, context->return_value);
    context_place_regs(base, patched_thread_leave_trampoline(context->bound, &base->regs) ? REGS_HERE : REGS_BOTH);
}

/* The FP state from the signal frame of the worker that held the context when the stub died. False: the slot has it. */
static bool pull_fp_left_behind(struct systrap_context *context, size_t size)
{
    uint32_t at = SHARED_LOAD(context->slot->fp_at);

    return at >= SYSTRAP_WORKERS && at < SYSTRAP_WORKERS_END &&
           tgi_arch_systrap->fp_from_frame(context->base.fp, size, context->bound->memory + at,
                                           SYSTRAP_WORKERS_END - at);
}

int slot_pull_fp(struct systrap_context *context, int64_t stopped_ns)
{
    struct tg_platform *platform = context->base.platform;
    size_t size = platform->info.fpstate_size;
    int err;

    if (context->fp_place != FP_SLOT)
        return 0;
    context->fp_place = FP_BASE;
    err = recall(context, stopped_ns);
    if (err != -ESRCH || !pull_fp_left_behind(context, size))
        memcpy(context->base.fp, slot_fp(context), size);
    count(platform, COUNTER_FPSTATE_SAVES);
    tgi_arch_systrap->fp_repair(context->base.fp, systrap_platform(platform)->fp_initial, size);
    return err;
}

/* ---- bringing ---- */

/* Recalls the context first, for the worker that holds it may be saving its FP state to the same place right now. */
static void push_fp(struct systrap_context *context, struct systrap_slot *slot)
{
    if (recall(context, WATCHDOG_OPERATION) == -EIO)
        systrap_subprocess_die(context->bound, TG_DEAD_CORRUPT, 0);
    memcpy(slot_fp(context), context->base.fp, context->base.platform->info.fpstate_size);
    slot->first |= FIRST_LOAD_FP;
    count(context->base.platform, COUNTER_FPSTATE_LOADS);
    context->fp_place = FP_SLOT;
}

static bool goes_on_behind_patched_call(const struct tg_context *base)
{
    return base->in_syscall && base->syscall.flags & TG_FLAG_PATCHED && tgi_arch.ip(&base->regs) == base->syscall.ip &&
           !tgi_arch.single_stepping(&base->regs);
}

/* keep: the registers in the slot go on behind the patched call they come from, so that the short way back is right. */
static void keep_resume(struct systrap_slot *slot, bool keep)
{
    if (tgi_arch_patching)
        tgi_arch_patching->keep_resume(slot, keep);
}

void slot_push_state(struct systrap_context *context)
{
    struct systrap_slot *slot = context->slot;
    const uint32_t undoings = patches_undoings(&context->bound->patches);
    /* Where a site was undone since, the code behind the call may differ from what its trampoline goes back to. */
    const bool code_is_unchanged = undoings == context->undoings_at_start;

    if (context_regs_place(&context->base) == REGS_HERE) {
        tgi_arch_systrap->write_regs(slot, &context->base.regs);
        keep_resume(slot, goes_on_behind_patched_call(&context->base) && code_is_unchanged);
        context->return_set = false;
    } else if (!code_is_unchanged) {
        keep_resume(slot, false);
    }
    context->undoings_at_start = undoings;
    context->brings_at_start = atomic_load_explicit(&context->bound->base.bring_generation, memory_order_acquire);
    if (context->fp_place == FP_BASE)
        push_fp(context, slot);
    if (context->return_set) {
        tgi_arch_systrap->set_return(slot, context->return_value);
        context->return_set = false;
    }
    statistics_given(context);
}
