/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest may return from a signal that never was, for the stub's own code may
 * do that: the frame is the guest's, and so is the thread's signal mask and
 * signal stack from then on. What it cannot do is keep the embedder waiting.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "frame.h"
#include "hostile.h"
#include "text.h"
#include "threads.h"

#define FRAME_AT    (GUEST_DATA_AT + 0x1000)
#define COUNTER_AT  GUEST_DATA_AT
#define SPIN_AT     (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define ALTSTACK_AT 0x50000000ull
#define SIGNAL(n)   (1ull << ((n)-1))
#define SETTLE_NS   50000000
#define AGAIN_NS    100000000

GUEST_DECLARE(forge_sigreturn);

struct forger {
    struct guest guest;
    struct text text;
    struct bounded *bounded;
    struct bounded *destroyer;
};

static void forger_open(struct forger *forger, uint32_t backend, struct guest_code then)
{
    need_shared_memory(backend);
    guest_open(&forger->guest, backend, GUEST_CODE(forge_sigreturn));
    load_code(forger->guest.subprocess, SPIN_AT, then);
    text_read(&forger->text, forger->guest.platform, forger->guest.subprocess);
    forger->bounded = bounded_new("the switching thread");
    forger->destroyer = bounded_new("the destroying thread");
}

static void forger_close(struct forger *forger)
{
    tg_context_destroy(forger->guest.context);
    BOUNDED_VOID(forger->destroyer, tg_platform_close(forger->guest.platform));
}

/* The frame goes on at SPIN_AT, which counts at its argument. */
static struct signal_frame frame_of(uint64_t mask)
{
    return (struct signal_frame){
        .rip = SPIN_AT,
        .rsp = GUEST_STACK_TOP,
        .rdi = COUNTER_AT,
        .cs = SELECTOR_CODE64,
        .ss = SELECTOR_DATA,
        .eflags = FLAGS_PLAIN,
        .stack_flags = SS_DISABLE,
        .signal_mask = mask,
    };
}

static void forge(struct forger *forger, const struct signal_frame *frame)
{
    tg_subprocess *subprocess = forger->guest.subprocess;
    CHECK_OK(tg_subprocess_write(subprocess, FRAME_AT, frame, sizeof(*frame), NULL));
    CHECK_OK(tg_context_start(forger->guest.context, GUEST_CODE_AT, FRAME_AT));
    arch_set_argument(forger->guest.context, 0, forger->text.a_syscall);
}

static void *run_bounded(void *argument)
{
    struct forger *forger = argument;
    BOUNDED_VOID(forger->bounded, guest_run(&forger->guest));
    return NULL;
}

/* Runs until the guest has forged its frame and counts. */
static pthread_t start_forged(struct forger *forger)
{
    const pthread_t thread = start_thread(run_bounded, forger);
    guest_wait_change(forger->guest.subprocess, COUNTER_AT, 0);
    pause_ns(SETTLE_NS);
    return thread;
}

/* However often it is asked, the switch has to come back: with the event, or without the subprocess. */
static void check_interruptible(struct forger *forger)
{
    const pthread_t thread = start_forged(forger);
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
    const pthread_t thread = start_forged(forger);
    BOUNDED_VOID(forger->destroyer, tg_subprocess_destroy(forger->guest.subprocess));
    join_thread(thread);
    CHECK_DEAD(&forger->guest.event, TG_DEAD_DESTROYED, 0);
}

static struct signal_frame frame_with_own_stack(const struct forger *forger)
{
    struct signal_frame frame = frame_of(0);
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
    const struct signal_frame frame = frame_of(~0ull);
    forge(&forger, &frame);
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
    const struct signal_frame frame = own_stack ? frame_with_own_stack(&forger) : frame_of(mask);
    forge(&forger, &frame);
    check(&forger);
    forger_close(&forger);
    footprint_check(&before);
}

void hostile_sigreturn_blocks_kick(uint32_t backend)
{
    spin_with(backend, SIGNAL(SIGCHLD), false, check_interruptible);
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
