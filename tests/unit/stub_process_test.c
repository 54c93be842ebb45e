/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Restartable sequences that somebody has registered for the thread that a
 * stub is copied from. Who registers depends on the environment, so each case
 * is a run of this program.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/stub_process.h"

#define SIGNATURE 0x1234u /* not glibc's */

static const char *program;
static char area[32] __attribute__((aligned(32)));

static int register_area(void)
{
    return (int)syscall(SYS_rseq, area, sizeof(area), 0, SIGNATURE);
}

/* The exit status: 0 as it should be, 77 nothing can be registered here. */
static int run_as(const char *who)
{
    if (strcmp(who, "another") != 0)
        return stub_process_unregister_rseq() != 0;
    if (register_area())
        return 77;
    return stub_process_unregister_rseq() != -EBUSY;
}

static void check(const char *who, const char *tunables)
{
    char *arguments[] = {(char *)"stub_process", (char *)who, NULL};
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        setenv("GLIBC_TUNABLES", tunables, 1);
        execv(program, arguments);
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void of_glibc(void **state)
{
    (void)state;
    check("glibc", "glibc.pthread.rseq=1");
}

static void of_nobody(void **state)
{
    (void)state;
    check("nobody", "glibc.pthread.rseq=0");
}

static void of_another_library(void **state)
{
    (void)state;
    check("another", "glibc.pthread.rseq=0");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_glibc),
        cmocka_unit_test(of_nobody),
        cmocka_unit_test(of_another_library),
    };

    program = argv[0];
    return argc > 1 ? run_as(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
