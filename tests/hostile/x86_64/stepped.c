/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest steps into the stub's code for patched calls, which for its base of
 * gs ends in a fault. What it leaves behind is its own: the next context that
 * the same worker runs does not step.
 */
#include "arch.h"
#include "guests_x86_64.h"
#include "hostile.h"

#define FLAG_TF    0x100
#define CODE_STEPS (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define CALLS      16
#define ROUNDS     20 /* the two need not meet on one worker every time */

GUEST_DECLARE(patch_step_in);

static void run_calls(struct guest *guest)
{
    int i;

    for (i = 0; i < CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
    CHECK(guest->event.flags & TG_FLAG_PATCHED);
}

static void step_into_stub(struct guest *guest)
{
    tg_context *stepper = create_started_context(guest->platform);

    arch_set_ip(stepper, CODE_STEPS);
    run_context(stepper, guest->subprocess, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
    run_calls(guest);
    CHECK(tg_context_regs(stepper)->eflags & FLAG_TF);
    CHECK(tg_context_regs(stepper)->r11 & FLAG_TF);
    tg_context_destroy(stepper);
}

void hostile_stepped_into_stub(uint32_t backend)
{
    struct guest guest;
    int round;

    need_shared_memory(backend);
    guest_open(&guest, backend, GUEST_CODE(patch_libc_wrapper));
    load_code(guest.subprocess, CODE_STEPS, GUEST_CODE(patch_step_in));
    tg_context_regs_mut(guest.context)->rbx = GUEST_CALL;
    tg_context_regs_mut(guest.context)->r13 = GUEST_CODE_AT;
    run_calls(&guest);
    for (round = 0; round < ROUNDS; round++)
        step_into_stub(&guest);
    guest_close(&guest);
}
