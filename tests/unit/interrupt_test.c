/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The sticky, coalescing interrupt: this thread is the one that gets the kick. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/interrupt.h"

#define RAISERS 4
#define RAISES  20000

static volatile sig_atomic_t kicks;

static void count_kick(int signal)
{
    (void)signal;
    kicks++;
}

static int begin(void **state)
{
    const struct sigaction action = {.sa_handler = count_kick};
    (void)state;
    kicks = 0;
    return sigaction(INTERRUPT_KICK_SIGNAL, &action, NULL);
}

static bool arm(struct interrupt *interrupt)
{
    return interrupt_arm(interrupt, getpid(), gettid());
}

static void sticks_until_armed(void **state)
{
    (void)state;
    struct interrupt interrupt = {0};
    interrupt_raise(&interrupt);
    interrupt_raise(&interrupt);
    assert_true(interrupt_pending(&interrupt));
    assert_int_equal(kicks, 0);
    /* Two are one: consumed by the first, unknown to the second. */
    assert_false(arm(&interrupt));
    assert_false(interrupt_pending(&interrupt));
    assert_true(arm(&interrupt));
    interrupt_disarm(&interrupt);
}

static void kicks_once_while_armed(void **state)
{
    (void)state;
    struct interrupt interrupt = {0};
    assert_true(arm(&interrupt));
    interrupt_raise(&interrupt);
    interrupt_raise(&interrupt);
    interrupt_raise(&interrupt);
    assert_int_equal(kicks, 1);
    interrupt_disarm(&interrupt);
    assert_true(interrupt_take(&interrupt));
    assert_false(interrupt_take(&interrupt));
}

static void no_kick_when_disarmed(void **state)
{
    (void)state;
    struct interrupt interrupt = {0};
    assert_true(arm(&interrupt));
    interrupt_disarm(&interrupt);
    interrupt_raise(&interrupt);
    assert_int_equal(kicks, 0);
    assert_true(interrupt_pending(&interrupt));
    assert_true(interrupt_take(&interrupt));
}

/* It is called in signal handlers. */
static void errno_survives(void **state)
{
    (void)state;
    struct interrupt interrupt = {0};
    /* A thread that is not there: the kick fails, and nobody cares. */
    assert_true(interrupt_arm(&interrupt, getpid(), 0x3fffffff));
    errno = 77;
    interrupt_raise(&interrupt);
    assert_int_equal(errno, 77);
    interrupt_disarm(&interrupt);
    assert_true(interrupt_take(&interrupt));
}

static void *raise_often(void *argument)
{
    for (int i = 0; i < RAISES; i++)
        interrupt_raise(argument);
    return NULL;
}

/* However raising and disarming meet: after disarm the signal is in, and the last raise is not lost. */
static void raisers_and_a_runner(void **state)
{
    (void)state;
    struct interrupt interrupt = {0};
    pthread_t threads[RAISERS];
    long taken = 0;
    for (int i = 0; i < RAISERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, raise_often, &interrupt), 0);
    for (int i = 0; i < RAISES; i++) {
        if (!arm(&interrupt)) {
            taken++;
            continue;
        }
        interrupt_disarm(&interrupt);
        /* On its way out of the kernel a thread takes the signals that are queued for it. */
        sched_yield();
        const sig_atomic_t kicks_now = kicks;
        taken += interrupt_take(&interrupt);
        assert_int_equal(kicks, kicks_now);
    }
    for (int i = 0; i < RAISERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    interrupt_raise(&interrupt);
    assert_true(interrupt_take(&interrupt));
    assert_in_range(taken, 0, (long)RAISERS * RAISES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sticks_until_armed, begin),    cmocka_unit_test_setup(kicks_once_while_armed, begin),
        cmocka_unit_test_setup(no_kick_when_disarmed, begin), cmocka_unit_test_setup(errno_survives, begin),
        cmocka_unit_test_setup(raisers_and_a_runner, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
