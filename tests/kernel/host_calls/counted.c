/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "counted.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include <trapgate/trapgate.h>

#define KINDS_MAX 64

static struct {
    const char *name;
    unsigned int times;
} kinds[KINDS_MAX];

static _Thread_local bool counting;
static _Thread_local unsigned int inside_library;

static void note(const char *name)
{
    size_t i = 0;

    if (!counting || inside_library > 0 || name[0] == '\0')
        return;
    while (kinds[i].name != NULL && strcmp(kinds[i].name, name) != 0)
        i++;
    kinds[i].name = name;
    kinds[i].times++;
}

static const char *by_number(long nr)
{
    return nr == SYS_openat2 ? "openat2" : "syscall";
}

/* The clocks that the C library reads without a call of the host, and the others. */
static const char *by_clock(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME ? "clock" : "clock_gettime";
}

/* ------------------------------------------------------------------------
 * What the linker puts in front
 */

#define CALL(kind, type, name, parameters, arguments)                                                                  \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        note(kind);                                                                                                    \
        return __real_##name arguments;                                                                                \
    }

#define LIBRARY(kind, type, name, parameters, arguments)                                                               \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        type result;                                                                                                   \
                                                                                                                       \
        note(kind);                                                                                                    \
        inside_library++;                                                                                              \
        result = __real_##name arguments;                                                                              \
        inside_library--;                                                                                              \
        return result;                                                                                                 \
    }

#define LIBRARY_VOID(kind, name, parameters, arguments)                                                                \
    void __real_##name parameters;                                                                                     \
    void __wrap_##name parameters;                                                                                     \
    void __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        note(kind);                                                                                                    \
        inside_library++;                                                                                              \
        __real_##name arguments;                                                                                       \
        inside_library--;                                                                                              \
    }

#include "wrapped.h"

/* ------------------------------------------------------------------------
 * Rows
 */

#undef CALL
#undef LIBRARY
#undef LIBRARY_VOID

void counted_start(void)
{
    memset(kinds, 0, sizeof(kinds));
    counting = true;
}

void counted_stop(char *text, size_t capacity)
{
    size_t length = 0;

    counting = false;
    text[0] = '\0';
    for (size_t i = 0; i < KINDS_MAX && kinds[i].name != NULL && length < capacity; i++) {
        length += (size_t)snprintf(text + length, capacity - length, "%s%s %u", length > 0 ? ", " : "", kinds[i].name,
                                   kinds[i].times);
    }
}

unsigned int counted_times(const char *name)
{
    for (size_t i = 0; i < KINDS_MAX && kinds[i].name != NULL; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].times;
    }
    return 0;
}
