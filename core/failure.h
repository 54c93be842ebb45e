/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Errors with a sentence. */
#ifndef CORE_FAILURE_H
#define CORE_FAILURE_H

#include "core/platform.h"

/* Remembers the sentence for the calling thread and returns err. */
int platform_fail(struct tg_platform *platform, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* An argument is NULL: remembers which function's and gives -EINVAL. The platform may be unknown. */
int platform_fail_null(const struct tg_platform *platform, const char *function);

#endif
