/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which calls are made, from the one who makes them: a filter reports every
 * call to another thread of the process, which writes it down and lets it pass.
 * Stubs inherit the filter; what guests ask is trapped before.
 */
#include "hosts.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "guest.h"
#include "threads.h"

/* Shared with the process of the demo. */
static bool *seen;
static atomic_int listener = -1;

static void *write_down(void *argument)
{
    struct seccomp_notif request;
    int fd;

    while ((fd = atomic_load(&listener)) < 0)
        usleep(100);
    for (;;) {
        struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

        memset(&request, 0, sizeof(request));
        /* ENOENT: who made the call has gone. */
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request))
            continue;
        if (request.data.nr >= 0 && request.data.nr < CALLS_MAX)
            seen[request.data.nr] = true;
        answer.id = request.id;
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return argument;
}

static void report_all_calls(const struct environment *environment, long value)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
    const struct sock_fprog program = {.len = ARRAY_SIZE(all), .filter = all};
    long fd;

    (void)environment;
    (void)value;
    start_thread(write_down, NULL);
    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (fd < 0)
        SKIP("a filter that reports calls: %m");
    atomic_store(&listener, (int)fd);
}

void record_calls(uint32_t backend, bool calls[CALLS_MAX])
{
    const struct environment environment = {.name = "recorded", .prepare = report_all_calls};
    struct outcome outcome;
    enum demo_end end;

    seen = CHECK_SYSTEM(mmap(NULL, CALLS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    end = run_demo(&environment, 0, backend, &outcome);
    if (end != DEMO_FINISHED || outcome.opened || outcome.result)
        check_failed(CHECK_HERE, "%s: %s %s", demo_end_text(end), outcome.message, outcome.failed);
    memcpy(calls, seen, CALLS_MAX);
    /* Of the process itself, when the demo is over. */
    calls[SYS_exit_group] = false;
}
