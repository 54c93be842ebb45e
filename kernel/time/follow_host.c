/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "time/follow_host.h"

#include "memory/address_space.h"
#include "tasks/process.h"
#include "tasks/sandbox_state.h"
#include "tasks/shown_clocks.h"
#include "tasks/wait.h"

/* Looks begin close together, for programs that live no longer, and each interval is twice the one before. */
#define FIRST_INTERVAL_NS INT64_C(2000000)
#define INTERVAL_NS       INT64_C(1000000000)

static const uint32_t shown[CLOCKS_SHOWN] = {
    CLOCK_REALTIME, CLOCK_MONOTONIC,       CLOCK_MONOTONIC_RAW,    CLOCK_BOOTTIME,
    CLOCK_TAI,      CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
};

/* Which of those that are followed each goes by. */
static const uint32_t source[CLOCKS_SHOWN] = {0, 1, 2, 3, 4, 0, 1};

static void look_at_host(struct sandbox *sandbox)
{
    struct guest_clocks *clocks = &sandbox->clocks;

    for (uint32_t i = 0; i < CLOCKS_SHOWN; i++) {
        clocks->shown[i] = i < CLOCKS_FOLLOWED ? (tg_clock){.size = sizeof(tg_clock)} : clocks->shown[source[i]];
        if (i < CLOCKS_FOLLOWED)
            tg_platform_follow_clock(sandbox->platform, &clocks->hosts[i], &clocks->shown[i]);
        clocks->shown[i].clock = shown[i];
    }
}

static void tell_guests(const struct sandbox *sandbox)
{
    for (const struct process *process = sandbox->processes; process; process = process->next)
        if (process->space)
            guest_clocks_offer(sandbox, process->space->subprocess);
}

/* Nobody would look any more. */
static void give_up(struct sandbox *sandbox)
{
    for (uint32_t i = 0; i < CLOCKS_SHOWN; i++)
        sandbox->clocks.shown[i] = (tg_clock){.size = sizeof(tg_clock), .clock = shown[i]};
}

static int look_again_later(struct sandbox *sandbox)
{
    struct guest_clocks *clocks = &sandbox->clocks;

    return timer_heap_add(&sandbox->timers, &clocks->timer, deadline_after(clocks->interval));
}

static void expired(struct timer *timer)
{
    struct sandbox *sandbox = ((struct guest_clocks *)timer)->sandbox;
    struct guest_clocks *clocks = &sandbox->clocks;

    look_at_host(sandbox);
    clocks->interval = clocks->interval < INTERVAL_NS / 2 ? 2 * clocks->interval : INTERVAL_NS;
    if (look_again_later(sandbox) != 0)
        give_up(sandbox);
    tell_guests(sandbox);
}

int follow_host_start(struct sandbox *sandbox)
{
    struct guest_clocks *clocks = &sandbox->clocks;

    if (!guest_clocks_are_own(sandbox))
        return 0;
    for (uint32_t i = 0; i < CLOCKS_FOLLOWED; i++)
        clocks->hosts[i] = (tg_host_clock){.size = sizeof(tg_host_clock), .clock = shown[i]};
    clocks->sandbox = sandbox;
    clocks->interval = FIRST_INTERVAL_NS;
    clocks->timer.expire = expired;
    look_at_host(sandbox);
    return look_again_later(sandbox);
}
