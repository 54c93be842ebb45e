/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How these guests say what happened: one line for each call, the same in a native run. */
#ifndef TRAPGATE_TESTS_KERNEL_FILES_ATTEMPT_H
#define TRAPGATE_TESTS_KERNEL_FILES_ATTEMPT_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

static inline long report_attempt(const char *what, long result, int error)
{
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(error));
    else
        printf("%s: %ld\n", what, result);
    return result;
}

/* Makes a call and prints it with its result, or the name of its error. */
#define ATTEMPT(call) (errno = 0, attempt_result = (long)(call), report_attempt(#call, attempt_result, errno))

static long attempt_result;

#endif
