/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Signals that come by the clock. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static volatile sig_atomic_t count, value_seen, code_seen;
static int notified;

static void note(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    count++;
    code_seen = info->si_code;
    value_seen = info->si_value.sival_int;
}

static void wait_until(int wanted)
{
    while (count < wanted)
        usleep(1000);
}

static void check_alarm(void)
{
    struct itimerval value = {.it_interval = {.tv_usec = 5000}, .it_value = {.tv_usec = 1000}}, old, none = {0};

    REPORT(alarm(100) == 0);
    REPORT(alarm(0) == 100);
    REPORT(alarm(0) == 0);
    count = 0;
    REPORT(setitimer(ITIMER_REAL, &value, NULL) == 0);
    wait_until(3);
    REPORT(setitimer(ITIMER_REAL, &none, &old) == 0 && old.it_interval.tv_usec == 5000);
    REPORT(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
    REPORT(code_seen == SI_KERNEL);
    value.it_value.tv_usec = 1000000;
    REPORT(setitimer(ITIMER_REAL, &value, NULL) == -1 && errno == EINVAL);
}

/* Without a call to interrupt: the loop must be left by the handler alone. */
static void check_alarm_while_computing(void)
{
    struct itimerval value = {.it_value = {.tv_usec = 20000}};

    count = 0;
    REPORT(setitimer(ITIMER_REAL, &value, NULL) == 0);
    while (!count)
        ;
    REPORT(count == 1);
}

static void check_timers(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 4711};
    struct itimerspec setting = {.it_value = {.tv_nsec = 2000000}}, now;
    timer_t timer;

    count = 0;
    REPORT(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    REPORT(timer_gettime(timer, &now) == 0 && now.it_value.tv_nsec == 0);
    REPORT(timer_settime(timer, 0, &setting, NULL) == 0);
    wait_until(1);
    REPORT(code_seen == SI_TIMER && value_seen == 4711);
    setting.it_value.tv_sec = 50;
    REPORT(timer_settime(timer, 0, &setting, NULL) == 0);
    REPORT(timer_gettime(timer, &now) == 0 && now.it_value.tv_sec >= 49);
    REPORT(timer_getoverrun(timer) == 0);
    REPORT(timer_delete(timer) == 0);
}

static void notice(union sigval value)
{
    __atomic_store_n(&notified, value.sival_int, __ATOMIC_SEQ_CST);
}

static void check_thread_timer(void)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notice, .sigev_value.sival_int = 12};
    struct itimerspec setting = {.it_value = {.tv_nsec = 2000000}};
    timer_t timer;

    REPORT(timer_create(CLOCK_REALTIME, &event, &timer) == 0);
    REPORT(timer_settime(timer, 0, &setting, NULL) == 0);
    while (!__atomic_load_n(&notified, __ATOMIC_SEQ_CST))
        usleep(1000);
    REPORT(notified == 12);
    REPORT(timer_delete(timer) == 0);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};

    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    check_alarm();
    check_alarm_while_computing();
    check_timers();
    check_thread_timer();
    return report_status();
}
