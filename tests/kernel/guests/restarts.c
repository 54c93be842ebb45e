/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which calls begin again after a handler with SA_RESTART, and which never do.
 * The alarm comes again and again, so one comes while the call waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define LONG_MS 60000

static const struct timespec long_time = {.tv_sec = LONG_MS / 1000};
static unsigned word;
static volatile sig_atomic_t alarms;

static void note_alarm(int signo)
{
    (void)signo;
    alarms = alarms + 1;
}

static void ring(int milliseconds)
{
    const struct itimerval value = {.it_interval = {.tv_usec = milliseconds * 1000L},
                                    .it_value = {.tv_usec = milliseconds * 1000L}};

    setitimer(ITIMER_REAL, &value, NULL);
}

#define REPORT_INTERRUPTED(call) REPORT((call) == -1 && errno == EINTR)

static void check_calls_for_files(void)
{
    struct epoll_event event;
    struct timeval time = {.tv_sec = LONG_MS / 1000};
    int epoll = epoll_create1(0);
    struct pollfd none = {.fd = -1};

    REPORT_INTERRUPTED(poll(&none, 1, LONG_MS));
    REPORT_INTERRUPTED(poll(NULL, 0, -1));
    REPORT_INTERRUPTED(ppoll(&none, 1, &long_time, NULL));
    REPORT_INTERRUPTED(select(0, NULL, NULL, NULL, &time));
    REPORT_INTERRUPTED(pselect(0, NULL, NULL, NULL, &long_time, NULL));
    REPORT_INTERRUPTED(epoll_wait(epoll, &event, 1, LONG_MS));
    REPORT_INTERRUPTED(epoll_pwait(epoll, &event, 1, -1, NULL));
    close(epoll);
}

static void check_other_calls(void)
{
    sigset_t none;

    sigemptyset(&none);
    REPORT_INTERRUPTED(nanosleep(&long_time, NULL));
    REPORT_INTERRUPTED(pause());
    REPORT_INTERRUPTED(sigsuspend(&none));
    REPORT_INTERRUPTED(sigtimedwait(&none, NULL, &long_time));
    REPORT_INTERRUPTED(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &long_time, NULL, 0));
}

/* Writes a byte, or ends, after some alarms have come in the parent. */
static pid_t start_child(int fd)
{
    pid_t child = fork();

    if (child == 0) {
        usleep(100000);
        _exit(write(fd, "x", 1) == 1 ? 0 : 1);
    }
    return child;
}

static void check_calls_that_go_on(void)
{
    int pipes[2], status = -1;
    pid_t child;
    char byte = 0;

    REPORT(pipe(pipes) == 0);
    child = start_child(pipes[1]);
    REPORT(read(pipes[0], &byte, 1) == 1 && byte == 'x');
    REPORT(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    const struct sigaction action = {.sa_handler = note_alarm, .sa_flags = SA_RESTART};

    sigaction(SIGALRM, &action, NULL);
    ring(50);
    check_calls_for_files();
    check_other_calls();
    check_calls_that_go_on();
    ring(0);
    REPORT(alarms > 0);
    return report_status();
}
