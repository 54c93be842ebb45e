/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The plan that replaces a system call and what is behind it. */
#ifndef ARCH_X86_64_PATCHING_PATCH_AFTER_H
#define ARCH_X86_64_PATCHING_PATCH_AFTER_H

#include "patch_plan.h"
#include "patch_window.h"

/* Entries of the table whose addresses differ in the lowest byte alone, and how many such blocks there are. */
#define PATCH_TABLE_BLOCK  32u
#define PATCH_TABLE_BLOCKS 512u

/*
 * Where in the table the pointer of the trampoline with this number is. The
 * second byte of an entry's address is the one in the jump where an instruction
 * often begins: first come those where it traps.
 */
uint32_t patch_table_place(uint32_t number);

/* Fills the plan's site and replacement. What is displaced may access memory, and so fault, when that is allowed. */
enum patch_refusal patch_plan_after(const struct patch_request *request, const struct patch_window *window,
                                    bool accesses_allowed, struct patch_plan *plan);

#endif
