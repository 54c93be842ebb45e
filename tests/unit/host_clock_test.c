/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A host's clock of which the test says how it goes, and what guests then see. */
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "core/host_clock.h"
#include "stub/vdso_clocks.h"

#define SECOND_NS   UINT64_C(1000000000)
#define TICKS_EACH  UINT64_C(3) /* for two nanoseconds */
#define START_NS    (5 * SECOND_NS)
#define START_TICKS UINT64_C(777000000)

struct world {
    struct tg_host_clock host;
    struct tg_clock line;
    struct host_sample now;
    uint64_t seen; /* by guests, last */
};

static struct world begin(uint32_t clock)
{
    struct world world = {.host = {.size = sizeof(world.host), .clock = clock},
                          .now = {.counter = START_TICKS, .ns = START_NS}};

    host_clock_follow(&world.host, &world.now, &world.line);
    assert_int_equal(world.line.kind, TG_CLOCK_CALL);
    return world;
}

static uint64_t shown(const struct world *world, uint64_t counter)
{
    const struct vdso_line line = {
        .base_counter = world->line.base_counter, .base_ns = world->line.base_ns, .multiplier = world->line.multiplier};

    return vdso_line_at(&line, counter);
}

/* So many ns go by in the counter, and so many more or less on the host's clock; then a look. How far guests were off.
 */
static int64_t go(struct world *world, uint64_t ns, int64_t more)
{
    int64_t off;

    world->now.counter += ns / 2 * TICKS_EACH;
    world->now.ns += ns + (uint64_t)more;
    off = (int64_t)(shown(world, world->now.counter) - world->now.ns);
    host_clock_follow(&world->host, &world->now, &world->line);
    return off;
}

/* What guests see goes on from where it was. */
static void go_smoothly(struct world *world, uint64_t ns, int64_t more, int64_t within)
{
    const uint64_t before = shown(world, world->now.counter + ns / 2 * TICKS_EACH);
    const int64_t off = go(world, ns, more);
    const int64_t step = (int64_t)(shown(world, world->now.counter) - before);

    assert_true(llabs(off) <= within);
    assert_int_equal(world->line.kind, TG_CLOCK_TIME);
    assert_int_equal(world->line.flags, TG_CLOCK_FORWARD);
    assert_true(llabs(step) <= 1);
}

static void even_clock(void **state)
{
    struct world world = begin(CLOCK_MONOTONIC);

    (void)state;
    go(&world, SECOND_NS / 100, 0);
    for (int i = 0; i < 100; i++)
        go_smoothly(&world, SECOND_NS, 0, 2);
    assert_int_equal(world.host.error_ns <= 2, 1);
}

/* Looks that are 20 ns off make guests at most twice as far off, and not more and more. */
static void inexact_looks(void **state)
{
    struct world world = begin(CLOCK_MONOTONIC);

    (void)state;
    go(&world, SECOND_NS, 20);
    for (int i = 0; i < 100; i++)
        go_smoothly(&world, SECOND_NS, i % 2 ? 40 : -40, 85);
}

/* NTP slews by 500 ppm: half a millisecond off once, and on the line again one interval later. */
static void slewed(void **state)
{
    struct world world = begin(CLOCK_BOOTTIME);

    (void)state;
    go(&world, SECOND_NS, 0);
    go_smoothly(&world, SECOND_NS, 500000, 500001);
    for (int i = 0; i < 10; i++)
        go_smoothly(&world, SECOND_NS, 500000, 2);
    go_smoothly(&world, SECOND_NS, 0, 500001);
    go_smoothly(&world, SECOND_NS, 0, 2);
}

/* The wall clock is set, forward or back: guests have the new time at once, and then go on as before. */
static void set_anew(void **state)
{
    static const int64_t steps[] = {3600 * (int64_t)SECOND_NS, -3 * (int64_t)SECOND_NS, 5000, -5000};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct world world = begin(CLOCK_REALTIME);

        go(&world, SECOND_NS, 0);
        go_smoothly(&world, SECOND_NS, 0, 2);
        go(&world, SECOND_NS, steps[i]);
        assert_int_equal(world.line.kind, TG_CLOCK_TIME);
        assert_int_equal(world.line.flags, 0);
        assert_int_equal(shown(&world, world.now.counter), world.now.ns);
        for (int j = 0; j < 3; j++)
            go(&world, SECOND_NS, 0);
        go_smoothly(&world, SECOND_NS, 0, 2);
    }
}

/* A counter that jumps, or one that goes back, is none to go by: calls, until it has been looked at twice. */
static void counter_that_lies(void **state)
{
    struct world world = begin(CLOCK_MONOTONIC);

    (void)state;
    go(&world, SECOND_NS, 0);
    go(&world, SECOND_NS, (int64_t)SECOND_NS);
    assert_int_equal(world.line.kind, TG_CLOCK_CALL);
    go(&world, SECOND_NS, 0);
    assert_int_equal(world.line.kind, TG_CLOCK_TIME);
    world.now.counter -= SECOND_NS;
    host_clock_follow(&world.host, &world.now, &world.line);
    assert_int_equal(world.line.kind, TG_CLOCK_CALL);
}

static void looks_too_soon(void **state)
{
    struct world world = begin(CLOCK_MONOTONIC);
    struct tg_clock before;

    (void)state;
    go(&world, 1000, 0);
    assert_int_equal(world.line.kind, TG_CLOCK_CALL);
    go(&world, SECOND_NS, 0);
    before = world.line;
    go(&world, 1000, 0);
    assert_memory_equal(&before, &world.line, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_clock), cmocka_unit_test(inexact_looks),     cmocka_unit_test(slewed),
        cmocka_unit_test(set_anew),   cmocka_unit_test(counter_that_lies), cmocka_unit_test(looks_too_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
