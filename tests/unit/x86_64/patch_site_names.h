/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Short names of what a planner answers, for what the tests print. */
#ifndef TESTS_UNIT_X86_64_PATCH_SITE_NAMES_H
#define TESTS_UNIT_X86_64_PATCH_SITE_NAMES_H

#include "patch_site_code.h"

const char *pattern_name(enum patch_pattern pattern);
const char *refusal_name(enum patch_refusal refusal);

#endif
