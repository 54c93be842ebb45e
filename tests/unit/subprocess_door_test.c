/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Operations count themselves in; destroy shuts the door and waits for the last one. */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include "core/handles.h"

#define VISITORS 4

static void open_and_shut(void **state)
{
    (void)state;
    struct tg_subprocess subprocess = {0};
    assert_true(subprocess_enter(&subprocess));
    assert_true(subprocess_enter(&subprocess));
    subprocess_leave(&subprocess);
    assert_false(subprocess_is_shut(&subprocess));
    subprocess_shut(&subprocess);
    assert_true(subprocess_is_shut(&subprocess));
    assert_false(subprocess_enter(&subprocess));
    subprocess_leave(&subprocess);
    /* Nobody is inside: this returns. */
    subprocess_drain(&subprocess);
}

struct visit {
    struct tg_subprocess *subprocess;
    _Atomic int *inside;
};

static void *visit_until_shut(void *argument)
{
    const struct visit *visit = argument;
    while (subprocess_enter(visit->subprocess)) {
        atomic_fetch_add(visit->inside, 1);
        sched_yield();
        atomic_fetch_sub(visit->inside, 1);
        subprocess_leave(visit->subprocess);
    }
    return NULL;
}

static void drain_waits_for_visitors(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct tg_subprocess subprocess = {0};
        _Atomic int inside = 0;
        struct visit visit = {&subprocess, &inside};
        pthread_t threads[VISITORS];
        for (int i = 0; i < VISITORS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, visit_until_shut, &visit), 0);
        sched_yield();
        subprocess_shut(&subprocess);
        subprocess_drain(&subprocess);
        assert_int_equal(atomic_load(&inside), 0);
        for (int i = 0; i < VISITORS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_and_shut),
        cmocka_unit_test(drain_waits_for_visitors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
