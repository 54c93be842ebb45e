/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * usage: hosts ptrace|systrap|auto ENVIRONMENT
 *        hosts ptrace|systrap sweep|command [forbidden|missing|fatal]
 *        hosts ptrace|systrap calls|yama
 *        hosts --list
 */
#include "hosts.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend_names.h"
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
        if (strstr(text, verdict->words[i]))
            return;
    check_failed(CHECK_HERE, "not the right cause: %s", text);
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
    check_words(verdict, outcome->message);
}

void check_decent(const struct outcome *outcome)
{
    if (outcome->wrong[0])
        check_failed(CHECK_HERE, "%s", outcome->wrong);
    if (outcome->opened && !is_open_error(outcome->opened))
        check_failed(CHECK_HERE, "opening gave %d, which the header does not list: %s", outcome->opened,
                     outcome->message);
    if (outcome->opened && !outcome->message[0])
        check_failed(CHECK_HERE, "opening failed without a sentence: %d", outcome->opened);
    /* The probe says what then happens. Which of two causes comes first may be a matter of time. */
    CHECK_EQ(outcome->probed == 0, outcome->opened == 0);
}

static void check_outcome(const struct outcome *outcome, const struct verdict *verdict)
{
    check_decent(outcome);
    if (verdict->expected == WORKS)
        check_works(outcome);
    else if (verdict->expected == REFUSED || outcome->opened)
        check_refused(outcome, verdict);
    else if (outcome->result)
        check_words(verdict, outcome->failed);
}

/* AUTO works where one of them does, and says what is wrong with each where none does. systrap comes first. */
static void check_auto(const struct outcome *outcome, const struct environment *environment)
{
    if (environment->ptrace.expected == WORKS || environment->systrap.expected == WORKS) {
        check_outcome(outcome, &(struct verdict){.expected = WORKS});
        if (environment->systrap.expected != EITHER)
            CHECK_EQ(outcome->backend, environment->systrap.expected == WORKS ? TG_BACKEND_SYSTRAP : TG_BACKEND_PTRACE);
    } else if (environment->ptrace.expected == REFUSED && environment->systrap.expected == REFUSED) {
        check_outcome(outcome, &environment->ptrace);
        check_words(&environment->systrap, outcome->message);
        CHECK(strstr(outcome->message, "ptrace: ") && strstr(outcome->message, "systrap: "));
    }
}

static void run_once(uint32_t backend, const struct environment *environment, long value)
{
    struct outcome outcome;
    enum demo_end end;

    check_context("%s %ld", environment->name, value);
    end = run_demo(environment, value, backend, &outcome);
    if (end != DEMO_FINISHED)
        check_failed(CHECK_HERE, "%s: %s", demo_end_text(end), outcome.failed);
    printf("%ld: open %d %s\n  steps %d %s\n", value, outcome.opened, outcome.message, outcome.result, outcome.failed);
    if (backend == TG_BACKEND_AUTO)
        check_auto(&outcome, environment);
    else
        check_outcome(&outcome, backend == TG_BACKEND_PTRACE ? &environment->ptrace : &environment->systrap);
}

static int run(uint32_t backend, const struct environment *environment)
{
    for (size_t i = 0; i < environment->value_count; i++)
        run_once(backend, environment, environment->values[i]);
    if (!environment->values)
        run_once(backend, environment, 0);
    return 0;
}

static int print_calls(uint32_t backend)
{
    bool calls[CALLS_MAX] = {false};

    record_demo(backend, calls);
    for (int nr = 0; nr < CALLS_MAX; nr++) {
        char *name = calls[nr] ? seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr) : NULL;

        if (name)
            printf("%s\n", name);
        free(name);
    }
    return 0;
}

/* how: NULL, or a way to refuse, for a sweep. */
static int run_named(uint32_t backend, const char *name, const char *how)
{
    if (strcmp(name, "sweep") == 0)
        return sweep_demo(backend, how) ? 1 : 0;
    if (strcmp(name, "yama") == 0)
        return check_yama(backend), 0;
    if (strcmp(name, "command") == 0)
        return sweep_command(backend, how) ? 1 : 0;
    if (strcmp(name, "calls") == 0)
        return print_calls(backend);
    for (size_t i = 0; i < environment_count; i++)
        if (strcmp(name, environments[i].name) == 0)
            return run(backend, &environments[i]);
    fprintf(stderr, "hosts: no environment %s\n", name);
    return 2;
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
    if (argc >= 3 && (backend_by_name(argv[1]) || strcmp(argv[1], "auto") == 0))
        return run_named(backend_by_name(argv[1]), argv[2], argv[3]);
    fprintf(stderr, "usage: hosts ptrace|systrap|auto ENVIRONMENT | --list\n");
    return 2;
}
