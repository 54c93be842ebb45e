/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <trapgate/trapgate.h>

static _Thread_local char context_text[160];

void check_context(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(context_text, sizeof(context_text), format, arguments);
    va_end(arguments);
}

void check_failed(struct check_place place, const char *format, ...)
{
    int saved_errno = errno;
    char text[1024];
    va_list arguments;

    errno = saved_errno;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    printf("%s:%d: %s%s%s\n", place.file, place.line, text, context_text[0] ? "; at " : "", context_text);
    fflush(stdout);
    _exit(1);
}

void check_skip(const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    printf("SKIP: %s\n", text);
    fflush(stdout);
    _exit(EXIT_SKIPPED);
}

void check_equal(struct check_place place, const char *text, uint64_t actual, uint64_t expected)
{
    if (actual != expected)
        check_failed(place, "%s: %" PRId64 " (0x%" PRIx64 ") is not %" PRId64 " (0x%" PRIx64 ")", text, (int64_t)actual,
                     actual, (int64_t)expected, expected);
}

void check_result(struct check_place place, const char *text, int actual, int expected)
{
    if (actual != expected)
        check_failed(place, "%s: returned %d (%s), not %d (%s)", text, actual, tg_strerror(actual), expected,
                     tg_strerror(expected));
}

void check_bytes(struct check_place place, const char *text, const void *actual, const void *expected, uint64_t length)
{
    const unsigned char *left = actual;
    const unsigned char *right = expected;
    uint64_t i;

    for (i = 0; i < length; i++) {
        if (left[i] != right[i])
            check_failed(place, "%s: byte %" PRIu64 " of %" PRIu64 " is 0x%02x, not 0x%02x", text, i, length, left[i],
                         right[i]);
    }
}
