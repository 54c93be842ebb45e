/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The plan that replaces the mov of the number before a system call. */
#ifndef ARCH_X86_64_PATCHING_PATCH_BEFORE_H
#define ARCH_X86_64_PATCHING_PATCH_BEFORE_H

#include "patch_plan.h"
#include "patch_window.h"

/* Fills the plan's site and replacement. */
enum patch_refusal patch_plan_before(const struct patch_request *request, const struct patch_window *window,
                                     struct patch_plan *plan);

#endif
