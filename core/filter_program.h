/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* seccomp programs: rules from tables for libseccomp, and the result as the kernel takes it. All return 0 or -errno. */
#ifndef CORE_FILTER_PROGRAM_H
#define CORE_FILTER_PROGRAM_H

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "core/open_report.h"

/* A mask for comparisons: of an argument only the half that a 32-bit comparison would miss. */
#define UPPER_HALF 0xffffffff00000000ull

struct filter_rule {
    uint32_t action;
    int nr;
    unsigned int count;
    struct scmp_arg_cmp args[6];
};

/* The rules before the one that failed stay. */
int filter_add_rules(scmp_filter_ctx filter, const struct filter_rule *rules, size_t n);

/* Lets these calls pass a filter of the embedder's, whatever their arguments are. */
int filter_allow_calls(scmp_filter_ctx filter, const int *calls, size_t n);

/*
 * `prefix` (may be empty) and behind it what libseccomp makes of `filter`,
 * to be freed with free(program->filter), which is NULL on an error.
 */
int filter_program_export(scmp_filter_ctx filter, const struct sock_filter *prefix, size_t prefix_length,
                          struct sock_fprog *program);

/* seccomp_init() gave NULL: the error for it. It asks seccomp(2) which actions there are, and needs little memory. */
#define FILTER_NO_SECCOMP (-ENOPROTOOPT)

/* The report for an error of building one; returns the header's number. */
int filter_program_failed(struct open_report *report, int err);

#endif
