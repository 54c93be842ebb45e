/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "sample.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLE_TIMEOUT_SECONDS 60

/* Where the sample's process writes its outcome; set in that process only. */
static int outcome_fd = -1;

/* What becomes known of the outcome before the end; in that process only, too. */
static struct sample_outcome own_outcome;

static __attribute__((noreturn)) void finish(const struct sample_outcome *outcome)
{
    ssize_t written = write(outcome_fd, outcome, sizeof(*outcome));

    _exit(written == (ssize_t)sizeof(*outcome) ? 0 : 1);
}

static __attribute__((noreturn)) void finish_without_value(bool skipped, const char *format, va_list arguments)
{
    struct sample_outcome outcome = {.skipped = skipped};

    vsnprintf(outcome.reason, sizeof(outcome.reason), format, arguments);
    finish(&outcome);
}

void sample_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    finish_without_value(false, format, arguments);
}

void sample_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    finish_without_value(true, format, arguments);
}

void sample_floor(double value)
{
    own_outcome.has_floor = true;
    own_outcome.floor = value;
}

static __attribute__((noreturn)) void run_in_child(sample_function *run, const struct sample *sample, int fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    outcome_fd = fd;
    own_outcome.value = run(sample);
    own_outcome.ok = true;
    finish(&own_outcome);
}

static struct sample_outcome failure(const char *reason, int number)
{
    struct sample_outcome outcome = {.ok = false};

    snprintf(outcome.reason, sizeof(outcome.reason), "%s %d", reason, number);
    return outcome;
}

static struct sample_outcome collect(pid_t pid, int fd, const struct sample *sample)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    struct sample_outcome outcome = {.ok = false};
    int timeout_ms = (int)((SAMPLE_TIMEOUT_SECONDS + 20 * sample->seconds + sample->rest_seconds) * 1000);
    int ready = poll(&readable, 1, timeout_ms);
    bool complete = ready == 1 && read(fd, &outcome, sizeof(outcome)) == (ssize_t)sizeof(outcome);
    int status = 0;

    if (ready == 0)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (complete)
        return outcome;
    if (ready == 0)
        return failure("no result after ms:", timeout_ms);
    if (WIFSIGNALED(status))
        return failure("the sample was ended by signal", WTERMSIG(status));
    return failure("the sample exited with", WEXITSTATUS(status));
}

struct sample_outcome sample_run(sample_function *run, const struct sample *sample)
{
    struct sample_outcome outcome;
    int fds[2];
    pid_t pid;

    if (pipe(fds) != 0)
        return failure("pipe: errno", errno);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        run_in_child(run, sample, fds[1]);
    }
    close(fds[1]);
    outcome = pid > 0 ? collect(pid, fds[0], sample) : failure("fork: errno", errno);
    close(fds[0]);
    return outcome;
}
