/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "task.h"
#include "timer_heap.h"

#define TASKS 200

/* The nearest deadline of all tasks that are in the heap, found the slow way. */
static int64_t nearest(const struct task *tasks)
{
    int64_t deadline = DEADLINE_NEVER;

    for (int i = 0; i < TASKS; i++)
        if (tasks[i].wait.timer_slot && tasks[i].wait.deadline < deadline)
            deadline = tasks[i].wait.deadline;
    return deadline;
}

static void the_first_is_always_the_nearest(void **state)
{
    struct timer_heap heap = {0};
    struct task *tasks = calloc(TASKS, sizeof(*tasks));
    const struct task *first;

    (void)state;
    assert_non_null(tasks);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        struct task *task = &tasks[rand() % TASKS];
        if (task->wait.timer_slot) {
            timer_heap_remove(&heap, task);
        } else {
            task->wait.deadline = rand() % 1000;
            assert_int_equal(timer_heap_add(&heap, task), 0);
        }
        first = timer_heap_first(&heap);
        assert_int_equal(first ? first->wait.deadline : DEADLINE_NEVER, nearest(tasks));
    }
    while ((first = timer_heap_first(&heap)))
        timer_heap_remove(&heap, &tasks[first - tasks]);
    timer_heap_remove(&heap, &tasks[0]);
    assert_int_equal(heap.count, 0);
    timer_heap_free(&heap);
    free(tasks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_is_always_the_nearest)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
