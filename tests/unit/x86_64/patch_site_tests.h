/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The tests of plans for patched `syscall` instructions; each runs a group and returns how many failed. */
#ifndef TESTS_UNIT_X86_64_PATCH_SITE_TESTS_H
#define TESTS_UNIT_X86_64_PATCH_SITE_TESTS_H

int test_patch_patterns(void);
int test_patch_neighbours(void);
int test_patch_decoys(void);
int test_patch_requests(void);
int test_patch_proofs(void);
int test_patches_executed(void);
int test_patches_of_programs(void);

/* Prints what the planner makes of these files; 1 if one cannot be read. */
int report_patches_of(char **paths);

#endif
