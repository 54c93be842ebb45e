/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of a subprocess that runs. The rest is rows. */
#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

static tg_subprocess *fork_of(tg_subprocess *subprocess)
{
    tg_subprocess *copy = NULL;

    CHECK_OK(tg_subprocess_fork(subprocess, &copy));
    CHECK(copy != NULL);
    return copy;
}

static void while_contexts_run(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;
    tg_context *other;
    pthread_t thread;
    tg_event event;
    uint64_t seen;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(counting_calls));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    for (i = 0; i < 5; i++) {
        copy = fork_of(guest.subprocess);
        seen = guest_load(copy, GUEST_DATA_AT);
        CHECK(seen != 0);
        guest_wait_change(guest.subprocess, GUEST_DATA_AT, seen);
        /* Nobody runs in the copy, so its word stands still. */
        CHECK_EQ(guest_load(copy, GUEST_DATA_AT), seen);
        other = create_context(guest.platform);
        CHECK_OK(tg_context_start(other, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
        run_context(other, copy, &event);
        CHECK_CALL(&event, GUEST_CALL);
        tg_context_destroy(other);
        tg_subprocess_destroy(copy);
    }
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

const struct test_case fork_cases[] = {
    {"fork.running", "A subprocess is copied while a context runs in it", while_contexts_run},
    {0},
};
