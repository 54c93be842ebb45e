/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest may return from a signal that never was, for the stub's own code may
 * do that: the frame is the guest's, and so is the thread's signal mask and
 * signal stack from then on. What it cannot do is keep the embedder waiting.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "footprint.h"
#include "forger.h"
#include "hostile.h"
#include "threads.h"

#define ALTSTACK_AT 0x50000000ull
#define AGAIN_NS    100000000
#define BUSY        8
#define PAUSE_NS    1000000
#define CLOSED      10

/* However often it is asked, the switch has to come back: with the event, or without the subprocess. */
static void check_interruptible(struct forger *forger)
{
    const pthread_t thread = forger_start(forger);
    CHECK_OK(tg_context_interrupt(forger->guest.context));
    while (bounded_ns(forger->bounded) != 0) {
        pause_ns(AGAIN_NS);
        CHECK_OK(tg_context_interrupt(forger->guest.context));
    }
    join_thread(thread);
    CHECK(forger->guest.event.kind == TG_EVENT_INTERRUPTED || forger->guest.event.kind == TG_EVENT_DEAD);
    BOUNDED_VOID(forger->destroyer, tg_subprocess_destroy(forger->guest.subprocess));
}

static void check_destructible(struct forger *forger)
{
    const pthread_t thread = forger_start(forger);
    BOUNDED_VOID(forger->destroyer, tg_subprocess_destroy(forger->guest.subprocess));
    join_thread(thread);
    CHECK_DEAD(&forger->guest.event, TG_DEAD_DESTROYED, 0);
}

static struct signal_frame frame_with_own_stack(const struct forger *forger)
{
    struct signal_frame frame = forger_frame(0);
    map_pages(forger->guest.subprocess, ALTSTACK_AT, 0x100000, PROT_RW);
    frame.stack_start = ALTSTACK_AT;
    frame.stack_size = 0x80000;
    frame.stack_flags = 0;
    return frame;
}

/* The signals of the processor blocked: what raises one then ends the stub. */
void hostile_sigreturn_blocks_call(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    forger_open(&forger, backend, GUEST_CODE(call_loop));
    const struct signal_frame frame = forger_frame(~0ull);
    forger_forge(&forger, &frame);
    BOUNDED_VOID(forger.bounded, guest_run(&forger.guest));
    CHECK_DEAD(&forger.guest.event, TG_DEAD_KILLED, SIGSYS);
    BOUNDED_VOID(forger.destroyer, tg_subprocess_destroy(forger.guest.subprocess));
    forger_close(&forger);
    footprint_check(&before);
}

static void spin_with(uint32_t backend, uint64_t mask, bool own_stack, void (*check)(struct forger *forger))
{
    const struct footprint before = footprint_take();
    struct forger forger;
    forger_open(&forger, backend, GUEST_CODE(spin_counting));
    const struct signal_frame frame = own_stack ? frame_with_own_stack(&forger) : forger_frame(mask);
    forger_forge(&forger, &frame);
    check(&forger);
    forger_close(&forger);
    footprint_check(&before);
}

void hostile_sigreturn_blocks_kick(uint32_t backend)
{
    spin_with(backend, SIGNAL(SIGCHLD), false, check_interruptible);
}

/* It spins on the queue, with the signal blocked by which it would be taken out. */
static tg_queue *submit_deaf(struct forger *forger, uint32_t backend)
{
    const struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    tg_queue *queue;
    forger_open(forger, backend, GUEST_CODE(spin_counting));
    forger_forge(forger, &frame);
    CHECK_OK(tg_queue_create(forger->guest.platform, &queue));
    CHECK_OK(tg_queue_submit(queue, forger->guest.context, forger->guest.subprocess));
    guest_wait_change(forger->guest.subprocess, FORGED_COUNTER_AT, 0);
    return queue;
}

static void submit_busy(struct forger *forger, tg_queue *queue, tg_subprocess *busy)
{
    for (int i = 0; i < BUSY; i++) {
        tg_context *context = create_started_context(forger->guest.platform);
        CHECK_OK(tg_queue_submit(queue, context, busy));
    }
}

/* Events of the busy ones are served until one of the forger's comes. */
static void serve_until_found(struct forger *forger, tg_queue *queue, tg_subprocess *busy)
{
    bounded_begin(forger->bounded, "waits beside a busy subprocess");
    for (bool found = false; !found;) {
        tg_event event = new_event();
        size_t count;
        /* Meanwhile all of the busy ones have left something. */
        pause_ns(PAUSE_NS);
        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
        CHECK_EQ(count, 1);
        found = event.context == forger->guest.context;
        if (found)
            forger->guest.event = event;
        else
            CHECK_OK(tg_queue_submit(queue, event.context, busy));
    }
    bounded_end(forger->bounded);
}

/* On a queue that has events of others whenever somebody looks: the subprocess is given up all the same. */
void hostile_sigreturn_blocks_kick_queued(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    tg_queue *queue = submit_deaf(&forger, backend);
    tg_subprocess *busy = create_loaded_subprocess(forger.guest.platform, GUEST_CODE(call_loop));
    submit_busy(&forger, queue, busy);
    CHECK_OK(tg_context_interrupt(forger.guest.context));
    serve_until_found(&forger, queue, busy);
    CHECK_DEAD(&forger.guest.event, TG_DEAD_CORRUPT, 0);
    BOUNDED_VOID(forger.destroyer, tg_queue_destroy(queue));
    forger_close(&forger);
    footprint_check(&before);
}

/* Its queue ends, and the subprocess with it, since the context does not let itself be taken out. */
void hostile_sigreturn_blocks_kick_unqueued(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    tg_queue *queue = submit_deaf(&forger, backend);
    BOUNDED_VOID(forger.destroyer, tg_queue_destroy(queue));
    guest_run(&forger.guest);
    CHECK_DEAD(&forger.guest.event, TG_DEAD_CORRUPT, 0);
    forger_close(&forger);
    footprint_check(&before);
}

/* Closing waits for none of them: as many as would keep it for longer than that is allowed if each had its time. */
void hostile_sigreturn_blocks_kick_closed(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    struct forger forger;
    tg_queue *queue;
    forger_open(&forger, backend, GUEST_CODE(spin_counting));
    forger_forge(&forger, &frame);
    CHECK_OK(tg_queue_create(forger.guest.platform, &queue));
    for (int i = 0; i < CLOSED; i++) {
        tg_context *context = create_context(forger.guest.platform);
        tg_subprocess *subprocess;
        CHECK_OK(tg_subprocess_fork(forger.guest.subprocess, &subprocess));
        CHECK_OK(tg_context_copy(context, forger.guest.context));
        CHECK_OK(tg_queue_submit(queue, context, subprocess));
        guest_wait_change(subprocess, FORGED_COUNTER_AT, 0);
    }
    forger_close(&forger);
    footprint_check(&before);
}

void hostile_sigreturn_blocks_kick_destroyed(uint32_t backend)
{
    spin_with(backend, SIGNAL(SIGCHLD), false, check_destructible);
}

/* A signal stack in the guest's own memory: the stub's handler believes it is somewhere else. */
void hostile_sigreturn_moves_stack(uint32_t backend)
{
    spin_with(backend, 0, true, check_interruptible);
}

void hostile_sigreturn_moves_stack_destroyed(uint32_t backend)
{
    spin_with(backend, 0, true, check_destructible);
}
