/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * conformance BACKEND CASE   runs one case in this process: 0 right, 1 wrong, 77 skipped
 * conformance BACKEND all    runs every case in a process of its own and counts
 * conformance BACKEND each CASE...   the same with these alone
 * conformance --list         the names
 * conformance --readme       the table of README.md
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend_names.h"
#include "cases.h"
#include "check.h"

#include <trapgate/trapgate.h>

#define DEFAULT_LIMIT_SECONDS 60
#define LIMIT_VARIABLE        "CONFORMANCE_LIMIT_SECONDS"

struct run_all {
    uint32_t backend;
    char **names; /* with a NULL at their end; NULL: all */
    int limit_ms;
    unsigned int passed;
    unsigned int failed;
    unsigned int skipped;
};

struct search {
    const char *name;
    const struct test_case *found;
};

static int limit_ms(void)
{
    const char *text = getenv(LIMIT_VARIABLE);
    int seconds = text ? atoi(text) : 0;

    return (seconds > 0 ? seconds : DEFAULT_LIMIT_SECONDS) * 1000;
}

/* The status of a child, or -1 after killing it because its time was over. */
static int wait_limited(pid_t child, int timeout_ms)
{
    int descriptor = (int)CHECK_SYSTEM(syscall(SYS_pidfd_open, child, 0));
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    bool in_time = poll(&ready, 1, timeout_ms) > 0;
    int status = 0;

    close(descriptor);
    if (!in_time)
        CHECK_SYSTEM(kill(child, SIGKILL));
    CHECK_SYSTEM(waitpid(child, &status, 0));
    return in_time ? status : -1;
}

/* What a case leaves behind comes to us, because we are the subreaper; it has to end by itself. */
static bool descendants_end(int timeout_ms)
{
    int step_ms = 5;
    int waited_ms;

    for (waited_ms = 0; waited_ms < timeout_ms; waited_ms += step_ms) {
        pid_t pid = waitpid(-1, NULL, __WALL | WNOHANG);

        if (pid < 0 && errno == ECHILD)
            return true;
        if (pid == 0)
            poll(NULL, 0, step_ms);
    }
    return false;
}

static void count_result(struct run_all *run, const struct test_case *test, int status, bool ended)
{
    const char *verdict = "PASS";

    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED && ended) {
        verdict = "SKIPPED";
        run->skipped++;
    } else if (status == 0 && ended) {
        run->passed++;
    } else {
        verdict = "FAIL";
        run->failed++;
    }
    printf("%s %s", verdict, test->name);
    if (status == -1)
        printf(" (still running after %d s)", run->limit_ms / 1000);
    else if (WIFSIGNALED(status))
        printf(" (signal %d)", WTERMSIG(status));
    if (!ended)
        printf(" (left processes behind)");
    printf("\n");
    fflush(stdout);
}

static bool is_named(char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static int run_in_child(const struct test_case *test, void *argument)
{
    struct run_all *run = argument;
    pid_t child;
    int status;

    if (run->names && !is_named(run->names, test->name))
        return 1;
    child = CHECK_SYSTEM(fork());
    if (child == 0) {
        run_case(test, run->backend);
        exit(0);
    }
    status = wait_limited(child, run->limit_ms);
    count_result(run, test, status, descendants_end(run->limit_ms));
    return 1;
}

static int run_cases(uint32_t backend, char **names)
{
    struct run_all run = {.backend = backend, .names = names, .limit_ms = limit_ms()};

    CHECK_SYSTEM(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    fflush(stdout);
    for_each_case(run_in_child, &run);
    printf("%u passed, %u failed, %u skipped\n", run.passed, run.failed, run.skipped);
    return run.failed == 0 ? 0 : 1;
}

static int match_name(const struct test_case *test, void *argument)
{
    struct search *search = argument;

    if (strcmp(test->name, search->name) != 0)
        return 1;
    search->found = test;
    return 0;
}

static const struct test_case *find_case(const char *name)
{
    struct search search = {.name = name};

    for_each_case(match_name, &search);
    if (!search.found)
        fprintf(stderr, "no case is called %s\n", name);
    return search.found;
}

static int run_one_case(uint32_t backend, const char *name)
{
    const struct test_case *test = find_case(name);

    if (!test)
        return 2;
    run_case(test, backend);
    return 0;
}

static int run_each_case(uint32_t backend, char **names)
{
    for (char **name = names; *name; name++) {
        if (!find_case(*name))
            return 2;
    }
    return run_cases(backend, names);
}

static int print_name(const struct test_case *test, void *argument)
{
    (void)argument;
    printf("%s\n", test->name);
    return 1;
}

static int print_row(const struct test_case *test, void *argument)
{
    (void)argument;
    printf("| `%s` | %s |\n", test->name, test->proves);
    return 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: conformance ptrace|systrap CASE|all|each CASE...\n"
                    "       conformance --list|--readme\n");
    return 2;
}

int main(int argc, char **argv)
{
    const uint32_t backend = argc >= 3 ? backend_by_name(argv[1]) : TG_BACKEND_AUTO;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for_each_case(print_name, NULL);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--readme") == 0) {
        for_each_case(print_row, NULL);
        return 0;
    }
    if (backend != TG_BACKEND_AUTO && argc > 3 && strcmp(argv[2], "each") == 0)
        return run_each_case(backend, argv + 3);
    if (backend == TG_BACKEND_AUTO || argc != 3)
        return usage();
    return strcmp(argv[2], "all") == 0 ? run_cases(backend, NULL) : run_one_case(backend, argv[2]);
}
