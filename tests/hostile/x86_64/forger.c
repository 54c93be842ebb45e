/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "forger.h"

#include <signal.h>

#include "arch.h"
#include "clock.h"
#include "threads.h"

#define FRAME_AT  (GUEST_DATA_AT + 0x1000)
#define SETTLE_NS 50000000

GUEST_DECLARE(forge_sigreturn);

void forger_open(struct forger *forger, uint32_t backend, struct guest_code then)
{
    need_shared_memory(backend);
    guest_open(&forger->guest, backend, GUEST_CODE(forge_sigreturn));
    load_code(forger->guest.subprocess, FORGED_CODE_AT, then);
    text_read(&forger->text, forger->guest.platform, forger->guest.subprocess);
    forger->bounded = bounded_new("the switching thread");
    forger->destroyer = bounded_new("the destroying thread");
}

void forger_close(struct forger *forger)
{
    tg_context_destroy(forger->guest.context);
    BOUNDED_VOID(forger->destroyer, tg_platform_close(forger->guest.platform));
}

struct signal_frame forger_frame(uint64_t mask)
{
    return (struct signal_frame){
        .rip = FORGED_CODE_AT,
        .rsp = GUEST_STACK_TOP,
        .rdi = FORGED_COUNTER_AT,
        .cs = SELECTOR_CODE64,
        .ss = SELECTOR_DATA,
        .eflags = FLAGS_PLAIN,
        .stack_flags = SS_DISABLE,
        .signal_mask = mask,
    };
}

void forger_forge(struct forger *forger, const struct signal_frame *frame)
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

pthread_t forger_start(struct forger *forger)
{
    const pthread_t thread = start_thread(run_bounded, forger);
    guest_wait_change(forger->guest.subprocess, FORGED_COUNTER_AT, 0);
    pause_ns(SETTLE_NS);
    return thread;
}
