/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Contexts come to workers, whichever of these get no processor meanwhile: in a ring so small that laps are short. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "unit.h"

#define RING_SMALL 4
#include "stub/systrap_run_ring.h"

#define WORKERS      4
#define PUTS         300000
#define LOST_SECONDS 20
#define SMALL        0
#define LARGE        1
#define NUMBERS_MAX  0x10000

enum { IDLE, READY };

static struct systrap_control control;
static _Atomic int states[RING_SMALL];
static _Atomic uint32_t runs;
static _Atomic bool over;

static void *work(void *unused)
{
    while (!atomic_load(&over)) {
        const uint32_t number = run_ring_take(&control, SMALL);
        int ready = READY;

        if (!number)
            sched_yield();
        else if (atomic_compare_exchange_strong(&states[number - 1], &ready, IDLE))
            atomic_fetch_add(&runs, 1);
    }
    return unused;
}

static bool all_idle(void)
{
    for (uint32_t slot = 0; slot < RING_SMALL; slot++) {
        if (atomic_load(&states[slot]) != IDLE)
            return false;
    }
    return true;
}

/* The first from there on. */
static uint32_t find_idle(uint32_t from)
{
    while (atomic_load(&states[from % RING_SMALL]) != IDLE)
        from++;
    return from % RING_SMALL;
}

static bool any_idle(void)
{
    for (uint32_t slot = 0; slot < RING_SMALL; slot++) {
        if (atomic_load(&states[slot]) == IDLE)
            return true;
    }
    return false;
}

static void wait_until(bool (*condition)(void))
{
    const time_t started = time(NULL);

    while (!condition()) {
        if (time(NULL) - started > LOST_SECONDS)
            fail_msg("a slot was put into the ring, and no worker has found it");
        sched_yield();
    }
}

static void test_workers_without_a_processor(void **state)
{
    pthread_t threads[WORKERS];

    (void)state;
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (uint32_t position = 0; position < PUTS; position++) {
        uint32_t slot;

        wait_until(any_idle);
        slot = find_idle(position);
        atomic_store(&states[slot], READY);
        run_ring_put(&control, SMALL, position, slot);
    }
    wait_until(all_idle);
    atomic_store(&over, true);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&runs), PUTS);
    assert_false(run_ring_waits(&control, SMALL));
}

/* The first and the last slot, in laps up to the one in which positions begin again. */
static void test_entries(void **state)
{
    static const uint32_t positions[] = {0, 1, NUMBERS_MAX, 0x7fffffff, 0x80000000, 0xffffffff};
    static const uint32_t slots[] = {0, NUMBERS_MAX - 1};

    (void)state;
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        for (size_t j = 0; j < sizeof(slots) / sizeof(slots[0]); j++) {
            control.run[LARGE].head = positions[i];
            *run_ring_entry(&control, LARGE, positions[i]) = 0;
            assert_false(run_ring_waits(&control, LARGE));
            run_ring_put(&control, LARGE, positions[i], slots[j]);
            assert_true(run_ring_waits(&control, LARGE));
            assert_int_equal(run_ring_take(&control, LARGE), slots[j] + 1);
            assert_int_equal(control.run[LARGE].head, positions[i] + 1);
            /* A lap later it is there still, and nobody's. */
            control.run[LARGE].head = positions[i] + RING_LARGE;
            assert_false(run_ring_waits(&control, LARGE));
            assert_int_equal(run_ring_take(&control, LARGE), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_without_a_processor),
        cmocka_unit_test(test_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
