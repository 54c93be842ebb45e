/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The sentences of tg_platform_last_error(). Each thread has its own, so what
 * it reads is about its own calls, and no other thread writes there.
 */
#ifndef CORE_LAST_ERROR_H
#define CORE_LAST_ERROR_H

#include <stdarg.h>
#include <stdint.h>

#define LAST_ERROR_SLOTS  5 /* the newest and the 4 that stay readable */
#define LAST_ERROR_LENGTH 320

/* Of the calling thread, about a platform: its id, which is never 0. */
void last_error_set(uint64_t platform, const char *format, va_list args);
/* "": it has failed at nothing there, or so often elsewhere since that nobody knows. */
const char *last_error_get(uint64_t platform);

#endif
