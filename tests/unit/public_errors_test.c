/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The closed list: exactly the errors that the header names leave the library, and each has a text of its own. */
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "abi/public_errors.h"

#define LARGEST_ERRNO 4095

/* As in the comment at the top of trapgate.h. */
static const int listed[] = {EINVAL, E2BIG,  ENOMEM, EAGAIN, EMFILE, EBUSY,      ESRCH, EFAULT,
                             EPERM,  EACCES, EBADF,  ENODEV, EEXIST, EOPNOTSUPP, EIO};

#define LISTED_COUNT (sizeof(listed) / sizeof(listed[0]))

static bool is_listed(int err)
{
    for (size_t i = 0; i < LISTED_COUNT; i++) {
        if (listed[i] == err)
            return true;
    }
    return false;
}

static void listed_errors_pass_and_others_become_eio(void **state)
{
    (void)state;
    for (int err = 1; err <= LARGEST_ERRNO; err++)
        assert_int_equal(public_error(-err), is_listed(err) ? -err : -EIO);
    assert_int_equal(public_error(-LARGEST_ERRNO - 1), -EIO);
    assert_int_equal(public_error(INT_MIN + 1), -EIO);
}

static void successes_pass(void **state)
{
    (void)state;
    assert_int_equal(public_error(0), 0);
    assert_int_equal(public_error(7), 7); /* a descriptor of tg_queue_fd() */
    assert_int_equal(public_error(INT_MAX), INT_MAX);
}

static void texts_differ_and_ignore_the_sign(void **state)
{
    (void)state;
    for (size_t i = 0; i < LISTED_COUNT; i++) {
        const char *text = public_error_text(-listed[i]);

        assert_ptr_equal(text, public_error_text(listed[i]));
        assert_string_not_equal(text, "");
        assert_string_not_equal(text, public_error_text(0));
        assert_string_not_equal(text, public_error_text(-LARGEST_ERRNO));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(text, public_error_text(-listed[j]));
    }
}

static void unknown_numbers_have_one_text(void **state)
{
    const char *unknown = public_error_text(-LARGEST_ERRNO);

    (void)state;
    assert_string_not_equal(unknown, "");
    for (int err = 1; err <= LARGEST_ERRNO; err++)
        assert_int_equal(strcmp(public_error_text(-err), unknown) == 0, !is_listed(err));
    assert_string_equal(public_error_text(INT_MIN), unknown);
    assert_string_equal(public_error_text(INT_MAX), unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_errors_pass_and_others_become_eio),
        cmocka_unit_test(successes_pass),
        cmocka_unit_test(texts_differ_and_ignore_the_sign),
        cmocka_unit_test(unknown_numbers_have_one_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
