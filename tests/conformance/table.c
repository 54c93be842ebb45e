/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "cases.h"

#include <stddef.h>
#include <string.h>

#include "check.h"
#include "row_player.h"
#include "rows.h"

#define MAX_ROW_CASES 400

/* One a line. */
/* clang-format off */
static const struct test_case *const areas[] = {
    switch_cases,
    fault_cases,
    memory_cases,
    move_cases,
    context_copy_cases,
    transfer_cases,
    exchange_cases,
    brought_bytes_cases,
    attached_bytes_cases,
    bytes_beside_others_cases,
    answer_cases,
    descriptor_cases,
    fork_cases,
    reset_cases,
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
    queue_lone_cases,
    switch_or_submit_cases,
    isolation_cases,
    vdso_cases,
    vdso_clock_cases,
    death_cases,
    process_cases,
    placement_cases,
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

/* The cases that are rows, in the order of their files; ends with an entry without a name. */
static const struct test_case *row_cases(void)
{
    static struct test_case cases[MAX_ROW_CASES];
    const struct row_book *book = row_book();
    size_t count = 0;

    row_check_all();
    for (size_t i = 0; i < book->block_count; i++) {
        const struct row *head = book->blocks[i].head;

        if (strcmp(head->words[0], "case") != 0)
            continue;
        CHECK(count < MAX_ROW_CASES - 1);
        cases[count++] = (struct test_case){.name = head->words[1], .proves = row_rest(head, 2)};
    }
    return cases;
}

static const struct test_case *const *row_areas(void)
{
    static const struct test_case *list[2];

    if (!list[0])
        list[0] = row_cases();
    return list;
}

void run_case(const struct test_case *test, uint32_t backend)
{
    if (test->run)
        test->run(backend);
    else
        row_play(row_block_find("case", test->name), backend);
}

void for_each_case(int (*visit)(const struct test_case *test, void *argument), void *argument)
{
    if (visit_areas(row_areas(), visit, argument) && visit_areas(areas, visit, argument))
        visit_areas(arch_areas, visit, argument);
}
