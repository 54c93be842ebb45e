/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One instruction at a time. */
#include <signal.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

static void require_steps(const struct guest *guest)
{
    if (!(platform_info(guest->platform).capabilities & TG_CAP_SINGLE_STEP))
        SKIP("this backend cannot run single instructions here");
}

static void step_once(struct guest *guest)
{
    arch_set_step(guest->context, true);
    guest_run(guest);
}

static void every_instruction(uint32_t backend)
{
    struct guest guest;
    uint64_t last;
    int i;

    guest_open(&guest, backend, GUEST_CODE(steps));
    require_steps(&guest);
    last = GUEST_CODE_AT;
    for (i = 0; i < 3; i++) {
        step_once(&guest);
        CHECK_EXCEPTION(&guest.event, SIGTRAP, TRAP_TRACE);
        CHECK(arch_ip(guest.context) > last);
        CHECK(arch_ip(guest.context) <= GUEST_PLACE(steps, steps_call));
        CHECK_EQ(guest.event.u.exception.ip, arch_ip(guest.context));
        last = arch_ip(guest.context);
    }
    CHECK_EQ(last, GUEST_PLACE(steps, steps_call));
    guest_close(&guest);
}

/* The call itself comes as a call; the steps go on behind it. */
static void across_a_call(uint32_t backend)
{
    struct guest guest;
    uint64_t after = GUEST_PLACE(steps, steps_after_call);
    int steps = 0;

    guest_open(&guest, backend, GUEST_CODE(steps));
    require_steps(&guest);
    do {
        CHECK(steps++ < 5);
        step_once(&guest);
    } while (guest.event.kind == TG_EVENT_EXCEPTION && guest.event.u.exception.signo == SIGTRAP);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_EQ(arch_ip(guest.context), after);
    CHECK_OK(tg_context_set_return(guest.context, 0));
    step_once(&guest);
    CHECK_EXCEPTION(&guest.event, SIGTRAP, TRAP_TRACE);
    CHECK(arch_ip(guest.context) - after <= 1);
    guest_close(&guest);
}

static void stops_when_told(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(steps));
    require_steps(&guest);
    step_once(&guest);
    CHECK_EXCEPTION(&guest.event, SIGTRAP, TRAP_TRACE);
    arch_set_step(guest.context, false);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(arch_ip(guest.context), GUEST_PLACE(steps, steps_after_call));
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* A context that steps and one that does not share the stub. */
static void does_not_leak(uint32_t backend)
{
    struct guest guest;
    tg_context *other;
    tg_event event;
    int i;

    guest_open(&guest, backend, GUEST_CODE(steps));
    require_steps(&guest);
    other = create_started_context(guest.platform);
    for (i = 0; i < 3; i++) {
        step_once(&guest);
        CHECK_EXCEPTION(&guest.event, SIGTRAP, TRAP_TRACE);
        CHECK_OK(tg_context_start(other, GUEST_CODE_AT, GUEST_STACK_TOP));
        run_context(other, guest.subprocess, &event);
        CHECK_CALL(&event, GUEST_CALL);
    }
    tg_context_destroy(other);
    guest_close(&guest);
}

static void onto_a_fault(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    require_steps(&guest);
    arch_set_argument(guest.context, 0, GUEST_HOLE_AT);
    step_once(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    step_once(&guest);
    CHECK_EXCEPTION(&guest.event, SIGTRAP, TRAP_TRACE);
    guest_close(&guest);
}

const struct test_case step_cases[] = {
    {"step.every_instruction", "Each instruction traps behind itself", every_instruction},
    {"step.across_call", "A stepped system call is a call, and stepping goes on behind it", across_a_call},
    {"step.stops", "Without the flag the guest runs freely again", stops_when_told},
    {"step.does_not_leak", "Stepping one context does not step another on the same stub", does_not_leak},
    {"step.onto_fault", "A stepped instruction that faults is a fault; served, it traps", onto_a_fault},
    {0},
};
