/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Stops that are nobody's business, one after the other for ever: an interrupt is answered among them. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "../bounded.h"
#include "../hostile.h"
#include "../region.h"
#include "arch.h"
#include "clock.h"
#include "footprint.h"
#include "threads.h"

#define WRITER_AT     (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define INTERRUPTS    20
#define CALLS_MAX     1000
#define STOPS_BETWEEN 100
#define LOOK_EVERY_NS 1000000

GUEST_DECLARE(come_from_behind);
GUEST_DECLARE(keep_writing);

struct hidden {
    struct guest guest;
    tg_context *writer;
    struct bounded *bounded;
    atomic_int answered;
};

/* Its one call is patched from here on, and it makes no more. */
static void warm_up(struct guest *guest)
{
    int calls = 0;
    do {
        GUEST_RUN_TO_CALL(guest);
        if (++calls > CALLS_MAX)
            SKIP("no call is patched here");
    } while (!(guest->event.flags & TG_FLAG_PATCHED));
    tg_context_regs_mut(guest->context)->r12 = 1;
}

static void *run_writer(void *argument)
{
    struct hidden *hidden = argument;
    tg_event event = new_event();
    CHECK_OK(tg_context_switch(hidden->writer, hidden->guest.subprocess, &event));
    CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
    return NULL;
}

static void *run_victim(void *argument)
{
    struct hidden *hidden = argument;
    for (int i = 1; i <= INTERRUPTS; i++) {
        BOUNDED_VOID(hidden->bounded, guest_run(&hidden->guest));
        CHECK_KIND(&hidden->guest.event, TG_EVENT_INTERRUPTED);
        atomic_store(&hidden->answered, i);
    }
    return NULL;
}

static void wait_for_stops(const struct hidden *hidden)
{
    const uint64_t before = platform_stats(hidden->guest.platform).spurious_stops;
    while (platform_stats(hidden->guest.platform).spurious_stops < before + STOPS_BETWEEN)
        pause_ns(LOOK_EVERY_NS);
}

/* slot.kick is cleared at once, so that no worker takes the library's signal for one. */
void hostile_hidden_interrupt(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct hidden hidden = {0};
    need_shared_memory(backend);
    guest_open(&hidden.guest, backend, GUEST_CODE(come_from_behind));
    load_code(hidden.guest.subprocess, WRITER_AT, GUEST_CODE(keep_writing));
    const struct region region = region_of(hidden.guest.platform, hidden.guest.subprocess);
    const uint64_t kick = region_slot(&region, 0) + offsetof(struct systrap_slot, kick);
    hidden.bounded = bounded_new("the victim's thread");
    warm_up(&hidden.guest);
    hidden.writer = create_context(hidden.guest.platform);
    CHECK_OK(tg_context_start(hidden.writer, WRITER_AT, GUEST_STACK_TOP));
    arch_set_argument(hidden.writer, 0, kick);
    arch_set_argument(hidden.writer, 2, kick);
    const pthread_t writer = start_thread(run_writer, &hidden);
    const pthread_t victim = start_thread(run_victim, &hidden);
    for (int i = 1; i <= INTERRUPTS; i++) {
        wait_for_stops(&hidden);
        CHECK_OK(tg_context_interrupt(hidden.guest.context));
        while (atomic_load(&hidden.answered) < i)
            pause_ns(LOOK_EVERY_NS);
    }
    join_thread(victim);
    CHECK_SYSTEM(kill(tg_subprocess_pid(hidden.guest.subprocess), SIGKILL));
    join_thread(writer);
    tg_context_destroy(hidden.writer);
    guest_close(&hidden.guest);
    footprint_check(&before);
}
