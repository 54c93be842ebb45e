/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Plans for patched `syscall` instructions, checked byte by byte, decoded and
 * executed. With `--report FILE...` prints what the planner makes of programs.
 */
#include <stddef.h>
#include <string.h>

#include "patch_site_tests.h"

int main(int argc, char **argv)
{
    static int (*const groups[])(void) = {
        test_patch_patterns, test_patch_neighbours, test_patch_decoys,        test_patch_requests,
        test_patch_proofs,   test_patches_executed, test_patches_of_programs,
    };
    int failed = 0;

    if (argc > 2 && strcmp(argv[1], "--report") == 0)
        return report_patches_of(argv + 2);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        failed += groups[i]();
    return failed;
}
