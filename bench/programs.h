/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* programs.h - samples that run another program and read what it prints. */
#ifndef TRAPGATE_BENCH_PROGRAMS_H
#define TRAPGATE_BENCH_PROGRAMS_H

#include <stdio.h>

/* Only inside a sample, which ends when one of them fails. */

/* An empty file without a name. */
FILE *scratch_file(void);

/*
 * Runs the program in `path` without input, until it has exited with 0. Both files are at their start afterwards; its
 * output is lost when `output` is NULL. The last line of `errors` tells why it failed.
 */
void run_program(const char *path, char *const argv[], FILE *output, FILE *errors);

#endif
