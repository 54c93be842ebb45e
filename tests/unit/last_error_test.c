/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The sentences: each stays readable until 16 more have come. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "core/last_error.h"

__attribute__((format(printf, 2, 3))) static void say(struct last_error *errors, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    last_error_set(errors, format, args);
    va_end(args);
}

static void empty_before_the_first(void **state)
{
    (void)state;
    struct last_error errors;
    last_error_init(&errors);
    assert_string_equal(last_error_get(&errors), "");
    last_error_destroy(&errors);
}

static void sixteen_more(void **state)
{
    (void)state;
    static struct last_error errors;
    const char *texts[1000];
    last_error_init(&errors);
    for (int i = 0; i < 1000; i++) {
        say(&errors, "sentence %d", i);
        texts[i] = last_error_get(&errors);
        for (int back = 0; back <= 16 && back <= i; back++) {
            char expected[32];
            snprintf(expected, sizeof(expected), "sentence %d", i - back);
            assert_string_equal(texts[i - back], expected);
        }
    }
    last_error_destroy(&errors);
}

static void too_long_is_cut(void **state)
{
    (void)state;
    static struct last_error errors;
    char text[2 * LAST_ERROR_LENGTH];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    last_error_init(&errors);
    say(&errors, "%s", text);
    assert_int_equal(strlen(last_error_get(&errors)), LAST_ERROR_LENGTH - 1);
    last_error_destroy(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_before_the_first),
        cmocka_unit_test(sixteen_more),
        cmocka_unit_test(too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
