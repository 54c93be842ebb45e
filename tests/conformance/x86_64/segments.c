/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bases on several threads, and register values that are refused or set right. The rest is rows. */
#include <errno.h>

#include "../cases.h"
#include "arch.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "threads.h"

#define FLAG_IOPL 0x3000

static void *run_to_call(void *argument)
{
    struct guest *guest = argument;

    GUEST_RUN_TO_CALL(guest);
    return NULL;
}

/* Contexts with different bases take turns, on one and on several threads. */
static void tls_of_many_contexts(uint32_t backend)
{
    enum { CONTEXTS = 8 };
    struct guest guest;
    struct guest each[CONTEXTS];
    uint64_t i;
    int round;

    guest_open(&guest, backend, GUEST_CODE(read_fs_gs));
    for (i = 0; i < CONTEXTS; i++) {
        each[i] = guest;
        each[i].context = create_started_context(guest.platform);
        guest_store(guest.subprocess, GUEST_DATA_AT + 8 * i, 100 + i);
        CHECK_OK(tg_context_set_tls(each[i].context, GUEST_DATA_AT + 8 * i));
        tg_context_regs_mut(each[i].context)->gs_base = GUEST_DATA_AT + 8 * i;
    }
    for (round = 0; round < 4; round++) {
        for (i = 0; i < CONTEXTS; i++) {
            if (round % 2)
                run_in_thread(run_to_call, &each[i]);
            else
                GUEST_RUN_TO_CALL(&each[i]);
            CHECK_EQ(each[i].event.u.syscall.args[0], 100 + i);
            CHECK_EQ(each[i].event.u.syscall.args[1], 100 + i);
        }
    }
    for (i = 0; i < CONTEXTS; i++)
        tg_context_destroy(each[i].context);
    guest_close(&guest);
}

/* Flags that would give a guest rights are refused or dropped, never taken. */
static void flags_give_no_rights(uint32_t backend)
{
    struct guest guest;
    tg_event event = new_event();
    int result;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    tg_context_regs_mut(guest.context)->eflags |= FLAG_IOPL;
    result = tg_context_switch(guest.context, guest.subprocess, &event);
    CHECK(result == 0 || result == -EINVAL);
    if (result == 0)
        CHECK_EQ(tg_context_regs(guest.context)->eflags & FLAG_IOPL, 0);
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* Selectors that user mode cannot have: refused, or set right; never an error of another kind, never a dead stub. */
static void bad_selectors(uint32_t backend)
{
    static const uint64_t bad[] = {0, 0x10, 0x18, 0xffff, 0x1000033};
    struct guest guest;
    tg_event event;
    unsigned int i;
    int result;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        check_context("selector 0x%llx", (unsigned long long)bad[i]);
        guest_restart(&guest);
        tg_context_regs_mut(guest.context)->cs = bad[i];
        event = new_event();
        result = tg_context_switch(guest.context, guest.subprocess, &event);
        CHECK(result == -EINVAL || (result == 0 && event.kind != TG_EVENT_DEAD));
        guest_restart(&guest);
        tg_context_regs_mut(guest.context)->ss = bad[i];
        event = new_event();
        result = tg_context_switch(guest.context, guest.subprocess, &event);
        CHECK(result == -EINVAL || (result == 0 && event.kind != TG_EVENT_DEAD));
        guest_restart(&guest);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

const struct test_case segment_cases[] = {
    {"segment.tls_many", "Contexts with bases of their own take turns on one and on many threads",
     tls_of_many_contexts},
    {"segment.no_rights", "The I/O privilege level cannot be raised through the flags", flags_give_no_rights},
    {"segment.bad_selectors", "Selectors of the kernel are refused or set right, the stub lives", bad_selectors},
    {0},
};
