/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where a guest shows to be when it is stopped around a patched call: by steps, its own too, and by interrupts. */
#include <pthread.h>
#include <signal.h>

#include "../cases.h"
#include "patching.h"
#include "patching_between.h"
#include "threads.h"

struct step {
    uint32_t kind;
    uint64_t ip;
    uint64_t r15;
};

#define STEPS 120

static void record_steps(struct loop *loop, struct step steps[STEPS])
{
    const tg_event *event = &loop->guest.event;
    int i;

    for (i = 0; i < STEPS; i++) {
        arch_set_step(loop->guest.context, true);
        guest_run(&loop->guest);
        if (event->kind == TG_EVENT_SYSCALL)
            CHECK_CALL(event, GUEST_CALL);
        else
            CHECK_EXCEPTION(event, SIGTRAP, TRAP_TRACE);
        steps[i] = (struct step){event->kind, arch_ip(loop->guest.context), tg_context_regs(loop->guest.context)->r15};
    }
    arch_set_step(loop->guest.context, false);
    guest_run(&loop->guest);
    CHECK_CALL(event, GUEST_CALL);
    CHECK_EQ(event->u.syscall.ip, place(loop, loop->pattern->behind));
}

static void compare_steps(const struct step *steps, const struct step *expected)
{
    unsigned int calls = 0;
    int i;

    for (i = 0; i < STEPS; i++) {
        CHECK_EQ(steps[i].kind, expected[i].kind);
        CHECK_EQ(steps[i].ip, expected[i].ip);
        CHECK_EQ(steps[i].r15, expected[i].r15);
        calls += steps[i].kind == TG_EVENT_SYSCALL;
    }
    CHECK(calls >= 3);
}

/* Stepped, a loop that was patched shows the same instructions as one that never was. */
static void steps_are_original(uint32_t backend)
{
    struct step steps[STEPS];
    struct step expected[STEPS];
    struct loop loop;
    struct loop twin;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_open(&twin, backend, TG_OPEN_NO_PATCHING, &patched_patterns[i]);
        if (!(platform_info(loop.guest.platform).capabilities & TG_CAP_SINGLE_STEP))
            SKIP("this backend cannot run single instructions here");
        loop_warm(&loop);
        loop_warm(&twin);
        record_steps(&loop, steps);
        record_steps(&twin, expected);
        compare_steps(steps, expected);
        CHECK(code_is_original(&loop));
        loop_close(&twin);
        loop_close(&loop);
    }
}

/* The registers are left alone, so that nobody learns from them that the guest steps. */
static void record_own_steps(struct guest *guest, struct step steps[STEPS])
{
    int i;

    between_go(guest, guest_patch_between_set_steps);
    for (i = 0; i < STEPS; i++) {
        guest_run(guest);
        steps[i] = (struct step){.kind = guest->event.kind};
        if (guest->event.kind == TG_EVENT_SYSCALL) {
            CHECK_CALL(&guest->event, GUEST_CALL);
            steps[i].ip = guest->event.u.syscall.ip;
        } else {
            CHECK_EXCEPTION(&guest->event, SIGTRAP, TRAP_TRACE);
            steps[i].ip = guest->event.u.exception.ip;
        }
    }
}

/* A guest that sets the trap flag by itself. */
static void guest_steps_itself(uint32_t backend)
{
    struct step steps[STEPS];
    struct step expected[STEPS];
    struct guest guest;
    struct guest twin;

    between_open(&guest, backend, 0);
    between_open(&twin, backend, TG_OPEN_NO_PATCHING);
    between_warm(&guest);
    between_warm(&twin);
    record_own_steps(&guest, steps);
    record_own_steps(&twin, expected);
    compare_steps(steps, expected);
    guest_close(&twin);
    guest_close(&guest);
}

struct storm {
    tg_context *context;
    _Atomic bool over;
};

static void *interrupt_until_over(void *argument)
{
    struct storm *storm = argument;
    volatile uint64_t spin;
    uint64_t random = 1;

    while (!storm->over) {
        CHECK_OK(tg_context_interrupt(storm->context));
        random = random * 6364136223846793005 + 1442695040888963407;
        for (spin = random >> 48; spin > 0; spin--)
            continue;
    }
    return NULL;
}

/* It is in its own code, and nowhere that the registers would not fit to. */
static void check_interrupted(const struct loop *loop)
{
    const tg_regs *regs = tg_context_regs(loop->guest.context);

    CHECK_KIND(&loop->guest.event, TG_EVENT_INTERRUPTED);
    CHECK(regs->rip >= loop->at && regs->rip < loop->at + CODE_LENGTH(loop));
    CHECK_EQ(regs->rbx, number_of(loop->pattern));
    CHECK_EQ(regs->gs_base, 0);
    CHECK_EQ(regs->cs, 0x33);
    if (loop->stopped && regs->rip == place(loop, loop->pattern->behind))
        CHECK(regs->r15 == loop->r15 - 1 || regs->r15 == loop->r15);
    else
        CHECK(regs->r15 + 1 - loop->r15 <= 1);
}

#define INTERRUPTS 100

/* Each call arrives once and in order, however often the loop is interrupted on its way through the site. */
static void interrupted_everywhere(uint32_t backend, const struct pattern *pattern)
{
    unsigned int interrupts = 0;
    struct storm storm;
    struct loop loop;
    pthread_t thread;

    check_context("%s", pattern->name);
    loop_open(&loop, backend, 0, pattern);
    loop_warm(&loop);
    storm = (struct storm){.context = loop.guest.context};
    thread = start_thread(interrupt_until_over, &storm);
    while (interrupts < INTERRUPTS) {
        loop_expect(&loop);
        guest_run(&loop.guest);
        while (loop.guest.event.kind == TG_EVENT_INTERRUPTED) {
            check_interrupted(&loop);
            interrupts++;
            guest_run(&loop.guest);
        }
        loop_answer(&loop);
    }
    storm.over = true;
    join_thread(thread);
    loop_close(&loop);
}

static void interrupts_lose_nothing(uint32_t backend)
{
    static const char *const names[] = {"mov_eax", "movabs", "libc_wrapper", "nops_behind"};
    size_t i;

    for (i = 0; i < ARRAY_SIZE(names); i++)
        interrupted_everywhere(backend, find_pattern(names[i]));
}

const struct test_case patch_stop_cases[] = {
    {"patch.steps", "Stepped, patched code shows the original instructions", steps_are_original},
    {"patch.guest_steps", "Also to a guest that sets the trap flag by itself", guest_steps_itself},
    {"patch.interrupts", "Interrupts show places of the guest's own code, and no call is lost or made twice",
     interrupts_lose_nothing},
    {0},
};
