/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * usage: hosts BACKEND ENVIRONMENT
 *        hosts --list
 */
#include "hosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "guest.h"

/* The header's list. */
static const int open_errors[] = {-EINVAL, -E2BIG, -ENOMEM, -EAGAIN, -EMFILE, -EPERM, -EOPNOTSUPP, -EIO};

static bool is_open_error(int err)
{
    for (size_t i = 0; i < ARRAY_SIZE(open_errors); i++)
        if (err == open_errors[i])
            return true;
    return false;
}

static void check_words(const struct verdict *verdict, const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(verdict->words) && verdict->words[i]; i++)
        if (!strstr(text, verdict->words[i]))
            check_failed(CHECK_HERE, "no word of \"%s\" in: %s", verdict->words[i], text);
}

static void check_works(const struct outcome *outcome)
{
    if (outcome->opened)
        check_failed(CHECK_HERE, "opening failed: %d: %s", outcome->opened, outcome->message);
    if (outcome->result)
        check_failed(CHECK_HERE, "%d: %s", outcome->result, outcome->failed);
}

static void check_refused(const struct outcome *outcome, const struct verdict *verdict)
{
    CHECK(outcome->opened != 0);
    if (!is_open_error(outcome->opened))
        check_failed(CHECK_HERE, "opening gave %d, which the header does not list: %s", outcome->opened,
                     outcome->message);
    check_words(verdict, outcome->message);
}

static void check_outcome(const struct outcome *outcome, const struct verdict *verdict)
{
    if (outcome->wrong[0])
        check_failed(CHECK_HERE, "%s", outcome->wrong);
    /* The probe says what then happens. */
    CHECK_RESULT(outcome->probed, outcome->opened);
    if (verdict->expected == WORKS)
        check_works(outcome);
    else if (verdict->expected == REFUSED || outcome->opened)
        check_refused(outcome, verdict);
    else if (outcome->result)
        check_words(verdict, outcome->failed);
}

static int run(uint32_t backend, const struct environment *environment)
{
    struct outcome outcome;

    if (!run_demo(environment->prepare, backend, &outcome))
        check_failed(CHECK_HERE, "it ended before its end: %s", outcome.failed);
    printf("open %d %s\nsteps %d %s\n", outcome.opened, outcome.message, outcome.result, outcome.failed);
    check_outcome(&outcome, backend == TG_BACKEND_PTRACE ? &environment->ptrace : &environment->systrap);
    return 0;
}

static int list(void)
{
    for (size_t i = 0; i < environment_count; i++)
        printf("%s\n", environments[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    for (size_t i = 0; argc == 3 && i < environment_count; i++)
        if (strcmp(argv[2], environments[i].name) == 0)
            return run(strcmp(argv[1], "systrap") == 0 ? TG_BACKEND_SYSTRAP : TG_BACKEND_PTRACE, &environments[i]);
    fprintf(stderr, "usage: hosts BACKEND ENVIRONMENT | --list\n");
    return 2;
}
