/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The plan that replaces a system call and what is behind it. */
#ifndef ARCH_X86_64_PATCHING_PATCH_AFTER_H
#define ARCH_X86_64_PATCHING_PATCH_AFTER_H

#include "patch_plan.h"
#include "patch_window.h"

/* Fills the plan's site and replacement. What is displaced may access memory, and so fault, when that is allowed. */
enum patch_refusal patch_plan_after(const struct patch_request *request, const struct patch_window *window,
                                    bool accesses_allowed, struct patch_plan *plan);

#endif
