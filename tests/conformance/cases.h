/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The table of behaviours. A case runs in a process of its own, so it may
 * change signal masks, kill things and load filters; it returns when the
 * behaviour is right and ends the process when it is not (support/check.h).
 */
#ifndef TESTS_CONFORMANCE_CASES_H
#define TESTS_CONFORMANCE_CASES_H

#include <stdint.h>

struct test_case {
    const char *name;              /* area.behaviour */
    const char *proves;            /* one sentence, for README.md */
    void (*run)(uint32_t backend); /* NULL: the rows of that name are played */
};

void run_case(const struct test_case *test, uint32_t backend);

/* Each area ends with an entry without a name. */
extern const struct test_case answer_cases[];
extern const struct test_case argument_cases[];
extern const struct test_case close_cases[];
extern const struct test_case context_cases[];
extern const struct test_case death_cases[];
extern const struct test_case descriptor_cases[];
extern const struct test_case embedder_cases[];
extern const struct test_case ends_beside_cases[];
extern const struct test_case error_cases[];
extern const struct test_case exchange_cases[];
extern const struct test_case fault_cases[];
extern const struct test_case fork_cases[];
extern const struct test_case interrupt_cases[];
extern const struct test_case isolation_cases[];
extern const struct test_case brought_bytes_cases[];
extern const struct test_case attached_bytes_cases[];
extern const struct test_case bytes_beside_others_cases[];
extern const struct test_case context_copy_cases[];
extern const struct test_case transfer_cases[];
extern const struct test_case memory_cases[];
extern const struct test_case move_cases[];
extern const struct test_case opening_cases[];
extern const struct test_case process_cases[];
extern const struct test_case placement_cases[];
extern const struct test_case queue_beside_cases[];
extern const struct test_case queue_cases[];
extern const struct test_case queue_descriptor_cases[];
extern const struct test_case queue_end_cases[];
extern const struct test_case queue_fair_cases[];
extern const struct test_case queue_lone_cases[];
extern const struct test_case switch_or_submit_cases[];
extern const struct test_case queue_lost_cases[];
extern const struct test_case queue_running_cases[];
extern const struct test_case queue_wait_cases[];
extern const struct test_case reset_cases[];
extern const struct test_case switch_cases[];
extern const struct test_case thread_cases[];
extern const struct test_case vdso_cases[];
extern const struct test_case vdso_clock_cases[];

/* x86-64 */
extern const struct test_case access_cases[];
extern const struct test_case compat_cases[];
extern const struct test_case context_fp_cases[];
extern const struct test_case exception_cases[];
extern const struct test_case fp_cases[];
extern const struct test_case page_fault_cases[];
extern const struct test_case patch_cases[];
extern const struct test_case patch_code_cases[];
extern const struct test_case patch_edge_cases[];
extern const struct test_case patch_fault_cases[];
extern const struct test_case patch_file_cases[];
extern const struct test_case patch_gs_cases[];
extern const struct test_case patch_many_cases[];
extern const struct test_case patch_map_cases[];
extern const struct test_case patch_random_cases[];
extern const struct test_case patch_stop_cases[];
extern const struct test_case queue_fp_cases[];
extern const struct test_case queue_race_cases[];
extern const struct test_case segment_cases[];

/* The areas of the processor the tests are built for; ends with NULL. */
extern const struct test_case *const arch_areas[];

/* Calls the visitor for every case of the table, in order, until it returns false. */
void for_each_case(int (*visit)(const struct test_case *test, void *argument), void *argument);

/* AArch64; access_cases too */
extern const struct test_case state_cases[];

#endif
