/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The sentences: each thread's own, by platform, and each stays readable until 4 more have come. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/last_error.h"

#define KEPT (LAST_ERROR_SLOTS - 1)

/* No test uses another's. */
enum { UNUSED = 1, MANY, LONG, ONE, OTHER, SHARED };

__attribute__((format(printf, 2, 3))) static void say(uint64_t platform, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    last_error_set(platform, format, args);
    va_end(args);
}

static void empty_before_the_first(void **state)
{
    (void)state;
    assert_string_equal(last_error_get(UNUSED), "");
}

static void four_more(void **state)
{
    (void)state;
    const char *texts[1000];
    assert_int_equal(KEPT, 4);
    for (int i = 0; i < 1000; i++) {
        say(MANY, "sentence %d", i);
        texts[i] = last_error_get(MANY);
        for (int back = 0; back <= KEPT && back <= i; back++) {
            char expected[32];
            snprintf(expected, sizeof(expected), "sentence %d", i - back);
            assert_string_equal(texts[i - back], expected);
        }
    }
}

static void too_long_is_cut(void **state)
{
    (void)state;
    char text[2 * LAST_ERROR_LENGTH];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    say(LONG, "%s", text);
    assert_int_equal(strlen(last_error_get(LONG)), LAST_ERROR_LENGTH - 1);
}

static void platforms_are_told_apart(void **state)
{
    (void)state;
    say(ONE, "first of one");
    say(ONE, "of one");
    say(OTHER, "of the other");
    assert_string_equal(last_error_get(ONE), "of one");
    assert_string_equal(last_error_get(OTHER), "of the other");
    for (int i = 0; i < KEPT; i++)
        say(OTHER, "of the other, %d", i);
    assert_string_equal(last_error_get(ONE), "");
}

static void *fail_too(void *argument)
{
    (void)argument;
    if (last_error_get(SHARED)[0] != '\0')
        return "it has another thread's sentence";
    say(SHARED, "of the second thread");
    return strcmp(last_error_get(SHARED), "of the second thread") == 0 ? NULL : "it has not its own sentence";
}

static void threads_are_told_apart(void **state)
{
    (void)state;
    say(SHARED, "of the first thread");
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        void *complaint;
        assert_int_equal(pthread_create(&thread, NULL, fail_too, NULL), 0);
        assert_int_equal(pthread_join(thread, &complaint), 0);
        assert_null(complaint);
        assert_string_equal(last_error_get(SHARED), "of the first thread");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_before_the_first), cmocka_unit_test(four_more),
        cmocka_unit_test(too_long_is_cut),        cmocka_unit_test(platforms_are_told_apart),
        cmocka_unit_test(threads_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
