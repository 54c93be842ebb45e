/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a test says: a failed check prints where, what and both values, then
 * ends the process with 1; a skip prints why and ends it with 77. Both may be
 * called from any thread.
 */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

#include <stdint.h>

#define EXIT_SKIPPED 77

struct check_place {
    const char *file;
    int line;
};

#define CHECK_HERE ((struct check_place){__FILE__, __LINE__})

/* Names what a loop is at; printed with the next failure of this thread. */
void check_context(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void check_failed(struct check_place place, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void check_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

void check_equal(struct check_place place, const char *text, uint64_t actual, uint64_t expected);
void check_result(struct check_place place, const char *text, int actual, int expected);
void check_bytes(struct check_place place, const char *text, const void *actual, const void *expected, uint64_t length);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            check_failed(CHECK_HERE, "not true: %s", #condition);                                                      \
    } while (0)

/* Compares numbers as 64-bit words, so a negative errno equals itself. */
#define CHECK_EQ(actual, expected)                                                                                     \
    check_equal(CHECK_HERE, #actual " == " #expected, (uint64_t)(actual), (uint64_t)(expected))

/* A result of the library: 0, or a negative errno of its closed list. */
#define CHECK_RESULT(actual, expected) check_result(CHECK_HERE, #actual, (actual), (expected))
#define CHECK_OK(actual)               CHECK_RESULT(actual, 0)

#define CHECK_BYTES(actual, expected, length) check_bytes(CHECK_HERE, #actual, (actual), (expected), (length))

/* A call of the C library that returns -1 and sets errno. */
#define CHECK_SYSTEM(call)                                                                                             \
    __extension__({                                                                                                    \
        __typeof__(call) checked_result = (call);                                                                      \
        if (checked_result == (__typeof__(call))-1)                                                                    \
            check_failed(CHECK_HERE, "%s: %m", #call);                                                                 \
        checked_result;                                                                                                \
    })

#define SKIP(...) check_skip(__VA_ARGS__)

#endif
