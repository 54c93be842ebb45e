/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "cases.h"

#include <stddef.h>

/* One a line. */
/* clang-format off */
static const struct test_case *const areas[] = {
    switch_cases,
    syscall_cases,
    fault_cases,
    memory_cases,
    descriptor_cases,
    fork_cases,
    step_cases,
    interrupt_cases,
    thread_cases,
    error_cases,
    context_cases,
    queue_cases,
    queue_wait_cases,
    queue_running_cases,
    queue_descriptor_cases,
    queue_end_cases,
    queue_beside_cases,
    queue_lost_cases,
    queue_fair_cases,
    isolation_cases,
    death_cases,
    process_cases,
    embedder_cases,
    argument_cases,
    opening_cases,
    ends_beside_cases,
    close_cases,
    NULL,
};
/* clang-format on */

static int visit_areas(const struct test_case *const *list, int (*visit)(const struct test_case *, void *),
                       void *argument)
{
    const struct test_case *test;

    for (; *list; list++) {
        for (test = *list; test->name; test++) {
            if (!visit(test, argument))
                return 0;
        }
    }
    return 1;
}

void for_each_case(int (*visit)(const struct test_case *test, void *argument), void *argument)
{
    if (visit_areas(areas, visit, argument))
        visit_areas(arch_areas, visit, argument);
}
