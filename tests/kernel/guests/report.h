/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How guest programs say what they saw: one line for each check; the exit status counts what was wrong. */
#ifndef TRAPGATE_TESTS_KERNEL_REPORT_H
#define TRAPGATE_TESTS_KERNEL_REPORT_H

#include <stdio.h>

static int wrong;

#define REPORT(condition)                                                                                              \
    do {                                                                                                               \
        int holds = (condition) ? 1 : 0;                                                                               \
        printf("%s: %s\n", holds ? "yes" : "NO", #condition);                                                          \
        wrong += !holds;                                                                                               \
    } while (0)

static inline int report_status(void)
{
    fflush(stdout);
    return wrong > 0;
}

#endif
