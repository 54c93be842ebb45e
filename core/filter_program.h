/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* seccomp programs: rules from tables for libseccomp, and the result as the kernel takes it. */
#ifndef CORE_FILTER_PROGRAM_H
#define CORE_FILTER_PROGRAM_H

#include <linux/filter.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* A mask for comparisons: of an argument only the half that a 32-bit comparison would miss. */
#define UPPER_HALF 0xffffffff00000000ull

struct filter_rule {
    uint32_t action;
    int nr;
    unsigned int count;
    struct scmp_arg_cmp args[6];
};

/* 0 or -errno; the rules before the one that failed stay. */
int filter_add_rules(scmp_filter_ctx filter, const struct filter_rule *rules, size_t n);

/*
 * `prefix` (may be empty) and behind it what libseccomp makes of `filter`,
 * to be freed with free(program->filter). 0 or -errno; on an error
 * program->filter is NULL.
 */
int filter_program_export(scmp_filter_ctx filter, const struct sock_filter *prefix, size_t prefix_length,
                          struct sock_fprog *program);

#endif
