/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Contexts that a queue runs: what they refuse, how they are interrupted, how they share processors. */
#include <errno.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "scale.h"

static void running_context_is_busy(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_queue *other;
    tg_event event = new_event();

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    other = create_queue(guest.platform);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_RESULT(tg_queue_submit(queue, guest.context, guest.subprocess), -EBUSY);
    CHECK_RESULT(tg_queue_submit(other, guest.context, guest.subprocess), -EBUSY);
    CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &event), -EBUSY);
    CHECK(tg_context_regs_mut(guest.context) == NULL);
    CHECK_OK(tg_context_interrupt(guest.context));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    CHECK(tg_context_regs_mut(guest.context) != NULL);
    tg_queue_destroy(other);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void interrupts_queued_contexts(uint32_t backend)
{
    enum { CONTEXTS = 20 };
    tg_context *contexts[CONTEXTS];
    struct guest guest;
    tg_queue *queue;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    for (i = 0; i < CONTEXTS; i++) {
        contexts[i] = create_counter(guest.platform, (uint64_t)i);
        CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
    }
    /* One at a time, so that each answer must be the right one. */
    for (i = CONTEXTS - 1; i >= 0; i--) {
        tg_event event;

        CHECK_OK(tg_context_interrupt(contexts[i]));
        event = wait_one(queue);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
        CHECK_EQ(event.user_data, i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* More spinners than processors, and still every caller gets its turns. */
static void spinners_share(uint32_t backend)
{
    enum { SPINNERS = 16 };
    const uint64_t turns = scaled(50);
    tg_context *spinners[SPINNERS];
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(spin_counting));
    queue = create_queue(guest.platform);
    for (i = 0; i < SPINNERS; i++) {
        spinners[i] = create_counter(guest.platform, 1000 + i);
        CHECK_OK(tg_context_start(spinners[i], OTHER_CODE_AT, GUEST_STACK_TOP));
        arch_set_argument(spinners[i], 0, GUEST_DATA_AT + 8 * i);
        CHECK_OK(tg_queue_submit(queue, spinners[i], guest.subprocess));
    }
    for (i = 1; i <= turns; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        event = wait_one(queue);
        CHECK(event.context == guest.context);
        CHECK_EQ(event.u.syscall.args[0], i);
    }
    /* Nobody starves: every spinner has counted, or does while we wait. */
    for (i = 0; i < SPINNERS; i++) {
        while (guest_load(guest.subprocess, GUEST_DATA_AT + 8 * i) == 0)
            CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    }
    for (i = 0; i < SPINNERS; i++) {
        CHECK_OK(tg_context_interrupt(spinners[i]));
        event = wait_one(queue);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
        CHECK(event.context == spinners[i]);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case queue_running_cases[] = {
    {"queue.busy", "A context that runs refuses submit, switch and changes", running_context_is_busy},
    {"queue.interrupt", "Each of twenty spinning contexts answers its own interrupt", interrupts_queued_contexts},
    {"queue.spinners_share", "Sixteen spinners and a caller in one queue: nobody starves", spinners_share},
    {0},
};
