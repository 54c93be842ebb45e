/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Clocks, by calls of the kernel and as the C library looks at them: both are
 * the same. With a number: looks at a clock as often, and says nothing else.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static const clockid_t clocks[] = {CLOCK_REALTIME,         CLOCK_MONOTONIC,         CLOCK_PROCESS_CPUTIME_ID,
                                   CLOCK_MONOTONIC_RAW,    CLOCK_THREAD_CPUTIME_ID, CLOCK_REALTIME_COARSE,
                                   CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
static volatile sig_atomic_t alarms;

static long long ns_of(const struct timespec *time)
{
    return (long long)time->tv_sec * 1000000000 + time->tv_nsec;
}

static long long by_library(clockid_t clock)
{
    struct timespec time;

    return clock_gettime(clock, &time) ? -1 : ns_of(&time);
}

static long long by_call(clockid_t clock)
{
    struct timespec time;

    return syscall(SYS_clock_gettime, clock, &time) ? -1 : ns_of(&time);
}

static void check_clocks(void)
{
    for (unsigned int i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        long long first = by_call(clocks[i]);
        long long second = by_library(clocks[i]);

        REPORT(first >= 0 && first <= second);
        REPORT(second <= by_call(clocks[i]));
    }
    REPORT(by_library(99) == -1);
    REPORT(by_call(99) == -1);
}

static void check_other_calls(void)
{
    struct timeval now = {0};
    long long before = by_call(CLOCK_REALTIME) / 1000;

    REPORT(gettimeofday(&now, NULL) == 0);
    REPORT((long long)now.tv_sec * 1000000 + now.tv_usec >= before);
    /* It reads a clock that lags by up to a tick, and the second may have just begun. */
    REPORT(time(NULL) + 1 >= (time_t)(before / 1000000));
    REPORT(syscall(SYS_getcpu, NULL, NULL, NULL) == 0);
}

static void note_alarm(int number)
{
    (void)number;
    alarms += by_library(CLOCK_MONOTONIC) > 0;
}

/* Handlers begin wherever the program is, and that is mostly a look at the clock. */
static void check_handlers(void)
{
    const struct itimerval often = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    const struct itimerval none = {0};
    long long last = 0;
    int backwards = 0;

    signal(SIGALRM, note_alarm);
    setitimer(ITIMER_REAL, &often, NULL);
    while (alarms < 20) {
        long long now = by_library(CLOCK_MONOTONIC);

        backwards += now < last;
        last = now;
    }
    setitimer(ITIMER_REAL, &none, NULL);
    REPORT(backwards == 0);
}

static void check_child(void)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(by_library(CLOCK_MONOTONIC) > 0 ? 7 : 1);
    REPORT(waitpid(child, &status, 0) == child);
    REPORT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        for (int i = atoi(argv[1]); i > 0; i--)
            by_library(CLOCK_MONOTONIC);
        puts(getauxval(AT_SYSINFO_EHDR) ? "with" : "without");
        return 0;
    }
    check_clocks();
    check_other_calls();
    check_handlers();
    check_child();
    return report_status();
}
