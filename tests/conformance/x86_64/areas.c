/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stddef.h>

#include "../cases.h"

/* One a line. */
/* clang-format off */
const struct test_case *const arch_areas[] = {
    access_cases,
    page_fault_cases,
    exception_cases,
    fp_cases,
    segment_cases,
    compat_cases,
    patch_cases,
    patch_fault_cases,
    patch_stop_cases,
    patch_gs_cases,
    patch_code_cases,
    patch_map_cases,
    patch_file_cases,
    patch_edge_cases,
    patch_many_cases,
    patch_random_cases,
    queue_race_cases,
    queue_fp_cases,
    context_fp_cases,
    NULL,
};
/* clang-format on */
