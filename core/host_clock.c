/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A sample says what the counter showed when a clock of the host's showed that.
 * Two of them give the clock's slope. Guests see a line through what they saw
 * at the last sample, so it has no jump, and as steep as it must be to meet the
 * host's clock at the end of an interval that is as long as the last one.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/guest_clocks.h"
#include "core/host_clock.h"

#define LOOKS           20      /* of which the shortest counts: nobody was interrupted in it */
#define INTERVAL_MIN_NS 1000000 /* below, what a look is off by is too much of it */
#define JUMP_NS         1000    /* a clock that may jump does when it is further off */
#define SHIFT           32      /* of slopes */
/* By how much of itself a slope changes at most: what the host makes of NTP is 500 ppm, a counter that jumps more. */
#define SLEW_PART       1600
#define STEP_PART       500

/* ---- the sample ---- */

int host_clock_sample(const struct tg_platform *platform, uint32_t clock, struct host_sample *out)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < LOOKS; i++) {
        const uint64_t before = guest_clocks_counter(platform);
        struct timespec time;
        uint64_t width;

        if (clock_gettime((clockid_t)clock, &time))
            return -EINVAL;
        width = guest_clocks_counter(platform) - before;
        if (width >= best)
            continue;
        best = width;
        out->counter = before + width / 2;
        out->ns = (uint64_t)(time.tv_sec * NS_PER_SECOND + time.tv_nsec);
    }
    return 0;
}

/* ---- the line ---- */

static bool may_jump(uint32_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_TAI;
}

static bool differs(uint64_t slope, uint64_t before, uint64_t part)
{
    const uint64_t difference = slope > before ? slope - before : before - slope;

    return difference > before / part;
}

/* 0: too steep for a counter of ticks, or no slope at all. */
static uint64_t slope_of(uint64_t ns, uint64_t ticks)
{
    const unsigned __int128 slope = ((unsigned __int128)ns << SHIFT) / ticks;

    return slope >> 63 ? 0 : (uint64_t)slope;
}

static uint64_t along(uint64_t slope, uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)slope * ticks >> SHIFT);
}

static void begin_again(struct tg_host_clock *host, const struct host_sample *now)
{
    host->counter = now->counter;
    host->ns = now->ns;
    host->slope = host->multiplier = host->guest_ns = host->error_ns = 0;
}

/* So that guests meet the host's clock after as many ticks again; never less than half as fast, or twice. */
static uint64_t steer(uint64_t slope, int64_t ahead, uint64_t ticks)
{
    const uint64_t part = slope_of((uint64_t)llabs(ahead), ticks);

    if (part > slope / 2)
        return ahead > 0 ? slope / 2 : slope * 2;
    return ahead > 0 ? slope - part : slope + part;
}

/* The first slope that is known, or after a jump. */
static void begin_line(struct tg_host_clock *host, const struct host_sample *now, uint64_t slope)
{
    host->guest_ns = now->ns;
    host->multiplier = host->slope = slope;
}

static bool jumps(const struct tg_host_clock *host)
{
    return may_jump(host->clock) && host->error_ns > JUMP_NS;
}

static void go_on(struct tg_host_clock *host, const struct host_sample *now, uint64_t ticks, uint64_t slope)
{
    const uint64_t guest_ns = host->guest_ns + along(host->multiplier, ticks);
    const int64_t ahead = (int64_t)(guest_ns - now->ns);

    host->error_ns = (uint64_t)llabs(ahead);
    if (jumps(host)) {
        /* It was set anew in the interval, or somebody has begun to slew it. */
        begin_line(host, now, differs(slope, host->slope, SLEW_PART) ? host->slope : slope);
        return;
    }
    host->guest_ns = guest_ns;
    host->slope = slope;
    host->multiplier = steer(slope, ahead, ticks);
}

/* Have the counter and the clock gone together? A clock that may jump need not have. */
static bool in_step(const struct tg_host_clock *host, uint64_t slope)
{
    return may_jump(host->clock) || (slope && !differs(slope, host->slope, STEP_PART));
}

static void learn(struct tg_host_clock *host, const struct host_sample *now)
{
    const uint64_t ticks = now->counter - host->counter;
    const uint64_t slope = now->ns > host->ns ? slope_of(now->ns - host->ns, ticks) : 0;

    if (host->slope && in_step(host, slope))
        go_on(host, now, ticks, slope);
    else if (!host->slope && slope)
        begin_line(host, now, slope);
    else
        begin_again(host, now);
    host->counter = now->counter;
    host->ns = now->ns;
}

static bool is_too_soon(const struct tg_host_clock *host, const struct host_sample *now)
{
    const uint64_t ns = now->ns - host->ns;

    return host->counter && now->counter > host->counter && now->ns >= host->ns && ns < INTERVAL_MIN_NS;
}

static void write_line(const struct tg_host_clock *host, struct tg_clock *out)
{
    *out = (struct tg_clock){.size = sizeof(*out), .clock = host->clock};
    if (!host->multiplier)
        return;
    out->kind = TG_CLOCK_TIME;
    out->flags = jumps(host) ? 0 : TG_CLOCK_FORWARD;
    out->base_counter = host->counter;
    out->base_ns = host->guest_ns;
    out->multiplier = host->multiplier;
}

void host_clock_follow(struct tg_host_clock *host, const struct host_sample *now, struct tg_clock *out)
{
    if (!is_too_soon(host, now)) {
        if (host->counter && now->counter > host->counter)
            learn(host, now);
        else
            begin_again(host, now);
    }
    write_line(host, out);
}

int host_clock_step(const struct tg_platform *platform, struct tg_host_clock *host, struct tg_clock *out)
{
    struct host_sample now;
    int err = host_clock_sample(platform, host->clock, &now);

    if (err)
        return platform_fail((struct tg_platform *)platform, err, "follow a clock: the host has no clock %u",
                             host->clock);
    if (platform->counter_readable && platform->counter_steady)
        host_clock_follow(host, &now, out);
    else
        *out = (struct tg_clock){.size = sizeof(*out), .clock = host->clock};
    return 0;
}
