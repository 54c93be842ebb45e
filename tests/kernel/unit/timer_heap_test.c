/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tasks/timer_heap.h"

#define TIMERS 200

/* The nearest deadline of all that are in the heap, found the slow way. */
static int64_t nearest(const struct timer *timers)
{
    int64_t deadline = INT64_MAX;

    for (int i = 0; i < TIMERS; i++)
        if (timers[i].slot && timers[i].deadline < deadline)
            deadline = timers[i].deadline;
    return deadline;
}

static void the_first_is_always_the_nearest(void **state)
{
    struct timer_heap heap = {0};
    struct timer *timers = calloc(TIMERS, sizeof(*timers));
    const struct timer *first;

    (void)state;
    assert_non_null(timers);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        struct timer *timer = &timers[rand() % TIMERS];
        if (timer->slot) {
            timer_heap_remove(&heap, timer);
        } else {
            assert_int_equal(timer_heap_add(&heap, timer, rand() % 1000), 0);
        }
        first = timer_heap_first(&heap);
        assert_int_equal(first ? first->deadline : INT64_MAX, nearest(timers));
    }
    while ((first = timer_heap_first(&heap)))
        timer_heap_remove(&heap, &timers[first - timers]);
    timer_heap_remove(&heap, &timers[0]);
    assert_int_equal(heap.count, 0);
    timer_heap_free(&heap);
    free(timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_is_always_the_nearest)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
