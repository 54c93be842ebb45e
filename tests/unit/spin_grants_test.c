/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who of several subprocesses may have workers spin. What a worker reads is in memory that it cannot write. */
#include "unit.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/platform.h"
#include "core/subprocess_life.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/spin_grants.h"

#define SUBPROCESSES 3
#define SPIN_PAUSES  100

static struct {
    struct systrap_platform systrap;
    struct tg_platform platform;
    struct systrap_subprocess subprocesses[SUBPROCESSES];
} world;

static struct systrap_subprocess *number(unsigned int i)
{
    return &world.subprocesses[i];
}

static uint32_t spinners_of(unsigned int i)
{
    const struct systrap_config *config = (const struct systrap_config *)(number(i)->memory + SYSTRAP_CONFIG);

    return SHARED_LOAD(config->spinners);
}

static uint32_t pauses_of(unsigned int i)
{
    const struct systrap_config *config = (const struct systrap_config *)(number(i)->memory + SYSTRAP_CONFIG);

    return SHARED_LOAD(config->spin_pauses);
}

static uint32_t all_spinners(void)
{
    uint32_t n = 0;

    for (unsigned int i = 0; i < SUBPROCESSES; i++)
        n += spinners_of(i);
    return n;
}

static int open_world(void **state)
{
    (void)state;
    world.platform.backend = &world.systrap;
    world.systrap.grants_max = 2;
    world.systrap.grants_given = 0;
    atomic_store(&world.systrap.spin_ns, 1000);
    atomic_store(&world.systrap.spin_pauses, SPIN_PAUSES);
    spin_grants_init(&world.systrap);
    for (unsigned int i = 0; i < SUBPROCESSES; i++) {
        *number(i) = (struct systrap_subprocess){.base.platform = &world.platform};
        list_init(&number(i)->grant_node);
        number(i)->memory = calloc(1, SYSTRAP_ANSWERS);
        if (!number(i)->memory)
            return -1;
        atomic_store(&number(i)->worker_count, 1);
    }
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < SUBPROCESSES; i++) {
        spin_grants_give_back(number(i));
        free(number(i)->memory);
    }
    assert_int_equal(world.systrap.grants_given, 0);
    assert_true(list_empty(&world.systrap.grant_holders));
    spin_grants_destroy(&world.systrap);
    return 0;
}

/* Its turn is over, or lasts for as long as the test does. */
static void end_turn(unsigned int i, bool over)
{
    number(i)->granted_at = over ? 0 : clock_monotonic_ns() + 1000 * NS_PER_SECOND;
}

static void no_more_than_workers(void **state)
{
    (void)state;
    assert_int_equal(all_spinners(), 0);
    spin_grants_ask(number(0));
    spin_grants_ask(number(0));
    assert_int_equal(spinners_of(0), 1);
    assert_int_equal(pauses_of(0), SPIN_PAUSES);
    atomic_store(&number(0)->worker_count, 5);
    for (int i = 0; i < 5; i++)
        spin_grants_ask(number(0));
    assert_int_equal(spinners_of(0), 2);
}

static void bounded_over_the_platform(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < SUBPROCESSES; i++) {
        spin_grants_ask(number(i));
        end_turn(i, false);
    }
    spin_grants_ask(number(2));
    assert_int_equal(spinners_of(2), 0);
    assert_int_equal(all_spinners(), 2);
}

static void in_turns(void **state)
{
    (void)state;
    spin_grants_ask(number(0));
    spin_grants_ask(number(1));
    end_turn(0, true);
    end_turn(1, true);
    spin_grants_ask(number(2));
    assert_int_equal(spinners_of(0), 0);
    assert_int_equal(spinners_of(2), 1);
    end_turn(2, false);
    spin_grants_ask(number(0));
    assert_int_equal(spinners_of(1), 0);
    assert_int_equal(spinners_of(0), 1);
    assert_int_equal(all_spinners(), 2);
}

/* One that asks for a second one has the oldest: it takes none from itself. */
static void not_from_itself(void **state)
{
    (void)state;
    world.systrap.grants_max = 1;
    atomic_store(&number(0)->worker_count, 2);
    spin_grants_ask(number(0));
    end_turn(0, true);
    spin_grants_ask(number(0));
    assert_int_equal(spinners_of(0), 1);
    assert_int_equal(all_spinners(), 1);
}

static void given_back_for_good(void **state)
{
    (void)state;
    spin_grants_ask(number(0));
    subprocess_shut(&number(0)->base);
    spin_grants_give_back(number(0));
    assert_int_equal(spinners_of(0), 0);
    spin_grants_ask(number(0));
    assert_int_equal(spinners_of(0), 0);
    assert_int_equal(world.systrap.grants_given, 0);
}

/* Holders hear of another time to spin at once, the others when they ask; without one nobody gets a grant. */
static void told_of_changes(void **state)
{
    (void)state;
    spin_grants_ask(number(0));
    atomic_store(&world.systrap.spin_ns, 0);
    atomic_store(&world.systrap.spin_pauses, 0);
    pthread_mutex_lock(&world.systrap.grants_lock);
    spin_grants_tell(&world.systrap);
    pthread_mutex_unlock(&world.systrap.grants_lock);
    assert_int_equal(pauses_of(0), 0);
    spin_grants_ask(number(1));
    assert_int_equal(spinners_of(1), 0);
    assert_int_equal(pauses_of(1), 0);
}

#define SPIN_TEST(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPIN_TEST(no_more_than_workers), SPIN_TEST(bounded_over_the_platform), SPIN_TEST(in_turns),
        SPIN_TEST(not_from_itself),      SPIN_TEST(given_back_for_good),       SPIN_TEST(told_of_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
