/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which calls are made, from the one who makes them: a filter reports every
 * call to the parent process, which writes it down and lets it pass. Stubs
 * inherit the filter; what guests ask is trapped before.
 */
#include "hosts.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "guest.h"
#include "threads.h"

#define PAUSE_US 100

static struct record {
    bool seen[CALLS_MAX];
    atomic_int listener; /* the descriptor's number in the process that has the filter; -1: not yet */
    pid_t child;
} * record; /* shared with the processes of a run */

static int fetch_listener(void)
{
    int pidfd = (int)CHECK_SYSTEM(syscall(SYS_pidfd_open, record->child, 0));
    int number;

    while ((number = atomic_load(&record->listener)) < 0)
        usleep(PAUSE_US);
    return (int)CHECK_SYSTEM(syscall(SYS_pidfd_getfd, pidfd, number, 0));
}

static void *write_down(void *argument)
{
    struct seccomp_notif request;
    int fd = fetch_listener();

    for (;;) {
        struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

        memset(&request, 0, sizeof(request));
        /* ENOENT: who made the call has gone. */
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request))
            continue;
        if (request.data.nr >= 0 && request.data.nr < CALLS_MAX)
            record->seen[request.data.nr] = true;
        answer.id = request.id;
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return argument;
}

static _Noreturn void be_the_recorder(pid_t child)
{
    int status = 0;

    record->child = child;
    start_thread(write_down, NULL);
    CHECK_SYSTEM(waitpid(child, &status, 0));
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void report_all_calls(const struct environment *environment, long value)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
    const struct sock_fprog program = {.len = ARRAY_SIZE(all), .filter = all};
    pid_t child = CHECK_SYSTEM(fork());
    long fd;

    (void)environment;
    (void)value;
    if (child != 0)
        be_the_recorder(child);
    CHECK_SYSTEM(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (fd < 0)
        SKIP("a filter that reports calls: %m");
    atomic_store(&record->listener, (int)fd);
}

static const struct environment recorded = {.name = "recorded", .prepare = report_all_calls};

static void start_record(void)
{
    record = CHECK_SYSTEM(mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    atomic_store(&record->listener, -1);
}

static void take_record(bool calls[CALLS_MAX])
{
    memcpy(calls, record->seen, CALLS_MAX);
    /* Of the process itself, when all is over. */
    calls[SYS_exit_group] = false;
    CHECK_SYSTEM(munmap(record, sizeof(*record)));
}

void record_apart(const struct apart *apart, bool calls[CALLS_MAX])
{
    int status = 0;
    enum demo_end end;

    start_record();
    end = run_apart(&recorded, 0, apart, &status);
    if (end != DEMO_FINISHED || status != 0)
        check_failed(CHECK_HERE, "%s: status %#x", demo_end_text(end), (unsigned)status);
    take_record(calls);
}

void record_demo(uint32_t backend, bool calls[CALLS_MAX])
{
    struct outcome outcome;
    enum demo_end end;

    start_record();
    end = run_demo(&recorded, 0, backend, &outcome);
    if (end != DEMO_FINISHED || outcome.opened || outcome.result)
        check_failed(CHECK_HERE, "%s: %s %s", demo_end_text(end), outcome.message, outcome.failed);
    take_record(calls);
}
