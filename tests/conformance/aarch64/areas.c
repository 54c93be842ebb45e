/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stddef.h>

#include "../cases.h"

/* One a line. */
/* clang-format off */
const struct test_case *const arch_areas[] = {
    access_cases,
    state_cases,
    NULL,
};
/* clang-format on */
