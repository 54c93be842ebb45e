/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A context in a subprocess: starting it, and waiting for what it leaves in its slot. */
#include <errno.h>
#include <string.h>

#include "core/attached.h"
#include "core/clock.h"
#include "core/event.h"
#include "core/no_cancel.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/events.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/slots.h"
#include "core/systrap/spinning.h"
#include "core/systrap/systrap_run.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/worker_answers.h"
#include "core/systrap/worker_bytes.h"
#include "core/systrap/workers.h"
#include "stub/systrap_run_ring.h"

#define QUICK_LOOKS 64 /* about a microsecond */
#define PATIENCE_NS (NS_PER_SECOND / 100)

/* ---- starting ---- */

static void hand_over(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;
    struct systrap_slot *slot = context->slot;
    unsigned int ring = context->number < RING_SMALL ? 0 : 1;
    uint32_t position;

    /* The worker that holds the context spins on this word, the only one that its processor then has to fetch. */
    if (SHARED_LOAD(slot->state) == SLOT_HELD && shared_change(&slot->state, SLOT_HELD, SLOT_RUNNING))
        return;
    switch (shared_take_held(&slot->state, SLOT_RESUMED)) {
    case SLOT_HELD:
        return;
    case SLOT_ASLEEP:
        worker_wake(subprocess, SHARED_LOAD(slot->worker) % SYSTRAP_WORKERS_MAX);
        return;
    case SLOT_DROP:
        /* slots_rescue() was first: it will not run here any more, and systrap_collect() says so. */
        if (subprocess_is_shut(&subprocess->base))
            return;
        break;
    default:
        break;
    }
    /* Pairs with sleep_until_woken() of the worker: entry first, then the look of workers_wake_one(). */
    SHARED_STORE(slot->state, SLOT_READY);
    position = atomic_fetch_add(&subprocess->run_tail[ring], 1);
    run_ring_put(control_of(subprocess), ring, position, context->number);
    workers_wake_one(subprocess);
}

void systrap_run_again(struct systrap_context *context)
{
    count(context->base.platform, COUNTER_SPURIOUS_STOPS);
    slot_push_state(context);
    hand_over(context);
}

static int prepare(struct systrap_context *context, struct systrap_subprocess *subprocess)
{
    int err = slot_bind(context, subprocess);

    if (err)
        return err;
    if (tgi_arch_patching && context_regs_place(&context->base) == REGS_HERE &&
        tgi_arch_patching->forbids(&context->base.regs))
        patches_turn_off(subprocess);
    return 0;
}

static void say_who_waits(struct systrap_context *context, enum start_for whom)
{
    struct systrap_slot *slot = context->slot;
    const bool queued = whom == START_FOR_QUEUE;

    if (context->queued != queued)
        slot->queued = queued;
    context->queued = queued;
    if (SHARED_LOAD(slot->waiting) != WAITS_LOOKING)
        SHARED_STORE(slot->waiting, WAITS_LOOKING);
}

int systrap_start(struct systrap_context *context, struct systrap_subprocess *subprocess, enum start_for whom,
                  struct tg_event *event)
{
    struct tg_context *base = &context->base;
    struct systrap_slot *slot;
    int err = prepare(context, subprocess);

    if (err)
        return err;
    if (subprocess_is_dead(&subprocess->base)) {
        systrap_event_dead(context, event);
        return 1;
    }
    if (base->attached_state) {
        err = systrap_attached_before_start(context);
        if (err)
            return err;
    }
    slot = context->slot;
    /* An interrupt that comes after this finds the context running, and kicks it. Pairs with kick(). */
    if (atomic_load_explicit(&context->kicked, memory_order_relaxed)) {
        atomic_store(&context->kicked, false);
        SHARED_SWAP(slot->kick, 0);
    }
    if (interrupt_pending(&base->interrupt) && interrupt_take(&base->interrupt)) {
        if (base->attached_state)
            context_settle_attached(base, &subprocess->base);
        systrap_event_interrupted(context, event);
        return 1;
    }
    slot_push_state(context);
    say_who_waits(context, whom);
    context->stuck_since = 0;
    context->overdue_since = 0;
    context->met_hidden_base = false;
    context->gaps_met = 0;
    context->ran_on = 0;
    if (whom != START_FOR_SWITCH)
        atomic_store_explicit(&context->flight, STARTING, memory_order_release);
    context_count(base, CONTEXT_SWITCHES);
    if (!base->attached_state || !systrap_attached_hand_over(context))
        hand_over(context);
    return 0;
}

/* ---- waiting ---- */

static bool has_arrived(const struct systrap_slot *slot)
{
    return state_ends_wait(SHARED_LOAD(slot->state));
}

/* What a worker runs a guest may have made up; of the slots above next_slot there may be no memory. */
static void preempt(struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t running = SHARED_LOAD(worker_of(subprocess, i)->running);

        if (running && running <= subprocess->next_slot) {
            SHARED_SWAP(slot_of(subprocess, running - 1)->kick, 1);
            worker_kick(subprocess, i);
        }
    }
    pthread_mutex_unlock(&subprocess->lock);
    count(subprocess->base.platform, COUNTER_PREEMPTIONS);
}

/* Contexts wait in the run ring. True: for so long has no worker taken one that those that run must give way. */
static bool backlog_is_stuck(struct systrap_subprocess *subprocess, int64_t now)
{
    uint32_t head;
    bool stuck;

    head = SHARED_LOAD(control_of(subprocess)->run[0].head) + SHARED_LOAD(control_of(subprocess)->run[1].head);
    pthread_mutex_lock(&subprocess->lock);
    if (head != subprocess->backlog_head || !subprocess->backlog_since) {
        subprocess->backlog_since = now;
        atomic_store(&subprocess->backlog_moved, now);
    }
    subprocess->backlog_head = head;
    stuck = now - subprocess->backlog_since >= PATIENCE_NS;
    if (stuck)
        subprocess->backlog_since = now;
    pthread_mutex_unlock(&subprocess->lock);
    return stuck;
}

int64_t systrap_before_sleep(struct systrap_subprocess *subprocess)
{
    int64_t now;
    bool stuck;

    if (!workers_backlog(subprocess))
        return INT64_MAX;
    now = clock_monotonic_ns();
    stuck = backlog_is_stuck(subprocess, now);
    if (!workers_add(subprocess) && stuck)
        preempt(subprocess);
    return now + PATIENCE_NS;
}

void systrap_make_way(struct systrap_subprocess *subprocess)
{
    bool stuck;

    if (!workers_backlog(subprocess))
        return;
    stuck = backlog_is_stuck(subprocess, clock_monotonic_ns());
    if (!workers_wake_a_sleeper(subprocess) && stuck)
        preempt(subprocess);
}

/* Looks in quick succession first: the next patched call is mostly there before a few pauses would be over. */
static bool look_quickly(const struct systrap_slot *slot)
{
    for (int i = 0; i < QUICK_LOOKS; i++) {
        if (has_arrived(slot))
            return true;
        tgi_arch_systrap->between_looks();
    }
    return false;
}

static bool slot_has_arrived(const void *slot)
{
    return has_arrived(slot);
}

bool systrap_spin(struct systrap_context *context, int64_t spin_ns)
{
    struct tg_platform *platform = context->base.platform;
    const struct systrap_slot *slot = context->slot;

    if (!spin_is_worth_it(systrap_platform(platform), context->futile_spins)) {
        context->futile_spins++;
        return has_arrived(slot);
    }
    if (look_quickly(slot)) {
        context->futile_spins = 0;
        return true;
    }
    return spin_until(platform, spin_ns, &context->futile_spins, slot_has_arrived, slot);
}

/* One sleep, and before it a look whether the workers that should end it do what they have to. */
static void sleep_for_event(struct systrap_context *context, struct systrap_slot *slot, int64_t *look_at)
{
    struct systrap_subprocess *subprocess = context->bound;
    uint32_t state = SHARED_LOOK(slot->state);
    int64_t until = systrap_before_sleep(subprocess);
    int64_t now = clock_monotonic_ns();

    if (now >= *look_at) {
        *look_at = now + WATCHDOG_ROUND_NS;
        if (watchdog_gives_up(context, now))
            systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
    }
    if (!state_has_event(state) && state != SLOT_GONE) {
        count(context->base.platform, COUNTER_FUTEX_SLEEPS);
        shared_futex_wait(&slot->state, state, until < *look_at ? until : *look_at);
    }
}

void systrap_sleep_until_arrived(struct systrap_context *context)
{
    NO_CANCELLATION;
    struct systrap_subprocess *subprocess = context->bound;
    struct systrap_slot *slot = context->slot;
    int64_t look_at;

    look_at = clock_monotonic_ns() + WATCHDOG_ROUND_NS;
    context->stuck_since = 0;
    /* Pairs with wake_waiter() of the worker, and with wake_everybody(). */
    SHARED_SWAP(slot->waiting, WAITS_ON_STATE);
    while (!subprocess_is_dead(&subprocess->base) && !has_arrived(slot))
        sleep_for_event(context, slot, &look_at);
    SHARED_STORE(slot->waiting, WAITS_LOOKING);
}

static void wait_until_arrived(struct systrap_context *context)
{
    if (!systrap_spin(context, systrap_platform(context->base.platform)->spin_ns))
        systrap_sleep_until_arrived(context);
}

/*
 * The door of a context that has a slot is its own state: whoever destroys the
 * subprocess shuts the door and then waits for the contexts of slots that are
 * switching. Pairs with wait_for_switches(). False: it is shut.
 */
static bool go_in(struct systrap_context *context, struct systrap_subprocess *subprocess, int *err)
{
    *err = platform_may_be_ours(context->base.platform) ? 0 : platform_refuse_fork(context->base.platform, "switch");
    if (!*err && context->bound != subprocess) {
        if (!subprocess_enter(&subprocess->base))
            return false;
        *err = slot_bind(context, subprocess);
        subprocess_leave(&subprocess->base);
    }
    return *err || !subprocess_is_shut(&subprocess->base);
}

int systrap_switch_begin(struct systrap_context *context, struct systrap_subprocess *subprocess, struct tg_event *event)
{
    int err;

    if (!go_in(context, subprocess, &err)) {
        event_dead(event, &context->base, TG_DEAD_DESTROYED, 0);
        return 1;
    }
    return err ? err : systrap_start(context, subprocess, START_FOR_SWITCH, event);
}

bool systrap_switch_end(struct systrap_context *context, struct tg_event *event)
{
    if (!systrap_left_something(context)) {
        systrap_lost(context, event);
        return true;
    }
    if (systrap_collect(context, event))
        return true;
    systrap_run_again(context);
    return false;
}

int systrap_context_switch(struct tg_context *base, struct tg_subprocess *subprocess, struct tg_event *event)
{
    struct systrap_context *context = to_systrap_context(base);
    int err = systrap_switch_begin(context, to_systrap_subprocess(subprocess), event);

    if (err)
        return err < 0 ? err : 0;
    do
        wait_until_arrived(context);
    while (!systrap_switch_end(context, event));
    return 0;
}

/* ---- the context's own life ---- */

/*
 * Any thread, any signal handler. The context has a slot and keeps it until
 * this returns. A start takes the context first and then looks for interrupts;
 * this is called after the interrupt is pending: if the context seems to be at
 * rest the start will see it. Pairs with systrap_start() by the context's state,
 * and with make_current() of the worker by the slot's.
 */
static void kick(struct interrupt *interrupt)
{
    struct systrap_context *context = container_of(interrupt, struct systrap_context, base.interrupt);
    struct systrap_slot *slot = context->slot;

    if (!context_is_running(&context->base))
        return;
    atomic_store(&context->kicked, true);
    SHARED_SWAP(slot->kick, 1);
    worker_kick(context->bound, SHARED_LOOK(slot->worker) % SYSTRAP_WORKERS_MAX);
}

void systrap_context_create(struct tg_context *base)
{
    base->interrupt.kick = kick;
    words_init(&to_systrap_context(base)->words);
}

void systrap_context_reset(struct tg_context *base)
{
    to_systrap_context(base)->fp_place = FP_BASE;
    memcpy(base->fp, systrap_platform(base->platform)->fp_initial, base->platform->info.fpstate_size);
}

int systrap_context_pull_fp(struct tg_context *base)
{
    struct systrap_context *context = to_systrap_context(base);

    if (slot_pull_fp(context, WATCHDOG_OPERATION) == -EIO)
        systrap_subprocess_die(context->bound, TG_DEAD_CORRUPT, 0);
    return 0;
}

void systrap_context_pull_regs(struct tg_context *base)
{
    slot_pull_regs(to_systrap_context(base));
}

void systrap_context_set_return(struct tg_context *base, int64_t value)
{
    struct systrap_context *context = to_systrap_context(base);

    if (context_regs_place(base) != REGS_BACKEND)
        tgi_arch.set_return(&base->regs, value);
    context->return_value = value;
    context->return_set = true;
}

void systrap_context_fp_changes(struct tg_context *base)
{
    to_systrap_context(base)->fp_place = FP_BASE;
}

void systrap_context_destroy(struct tg_context *base)
{
    struct systrap_context *context = to_systrap_context(base);

    context->fp_place = FP_BASE;
    context_place_regs(base, REGS_HERE);
    slot_unbind(context);
    words_destroy(&context->words);
}
