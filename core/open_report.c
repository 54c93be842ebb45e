/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/open_report.h"
#include "stub/protocol.h"

void open_report_fill(struct open_report *report, const char *step, const char *remedy, const char *format, ...)
{
    va_list args;

    snprintf(report->step, sizeof(report->step), "%s", step);
    snprintf(report->remedy, sizeof(report->remedy), "%s", remedy);
    va_start(args, format);
    vsnprintf(report->reason, sizeof(report->reason), format, args);
    va_end(args);
}

int open_error(int err)
{
    switch (err) {
    case 0:
    case -ENOMEM:
    case -EAGAIN:
    case -EMFILE:
    case -EPERM:
    case -EOPNOTSUPP:
        return err;
    case -ENFILE:
        return -EMFILE;
    case -EFBIG:
        return -ENOMEM;
    case -EACCES:
    case -ENOSYS:
        return -EPERM;
    case -EINVAL: /* the host's, for the embedder's arguments were checked before */
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

static bool is_limited(int resource)
{
    struct rlimit limit;

    return !getrlimit(resource, &limit) && limit.rlim_cur != RLIM_INFINITY;
}

static void fill_remedy(char *remedy, size_t capacity, const char *call, int err)
{
    const char *text = "report this as a bug with the kernel's version";

    switch (err) {
    case -EPERM:
    case -EACCES:
    case -ENOSYS:
        snprintf(remedy, capacity, "let the seccomp filter or security module that is in the way allow %s", call);
        return;
    case -EMFILE:
    case -ENFILE:
        text = "raise RLIMIT_NOFILE";
        break;
    case -EAGAIN:
        text = "raise RLIMIT_NPROC or the pids limit of the cgroup";
        break;
    case -EFBIG:
        text = "raise RLIMIT_FSIZE (ulimit -f), which is below the size of the memory that stubs share (41 MiB, and 3 "
               "KiB for each context)";
        break;
    case -ENOMEM:
        text = is_limited(RLIMIT_AS) ? "raise RLIMIT_AS (ulimit -v): each stub needs up to 1 GiB of addresses"
                                     : "free some memory";
        break;
    default:
        break;
    }
    snprintf(remedy, capacity, "%s", text);
}

int open_report_call(struct open_report *report, const char *step, const char *call, int err)
{
    char remedy[sizeof(report->remedy)];

    fill_remedy(remedy, sizeof(remedy), call, err);
    open_report_fill(report, step, remedy, "%s: %s", call, strerror(-err));
    return open_error(err);
}

/* What the C library does for a thread's stack, before it makes the thread: the call that fails, or NULL. */
static const char *failing_for_stacks(int *err)
{
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *err = -errno;
    if (page == MAP_FAILED)
        return "mmap(2)";
    *err = mprotect(page, size, PROT_READ | PROT_WRITE) ? -errno : 0;
    munmap(page, size);
    return *err ? "mprotect(2)" : NULL;
}

/* The C library makes threads with clone3(2), and with clone(2) only when the other does not exist. */
int open_report_thread(struct open_report *report, int err)
{
    const char *step = "start a thread";
    int stack_err;
    const char *call = failing_for_stacks(&stack_err);

    if (call)
        return open_report_call(report, step, call, stack_err);
    if (err == -EPERM) {
        open_report_fill(report, step,
                         "let the seccomp filter that is in the way allow clone3(2), or answer ENOSYS: then the C "
                         "library uses clone(2)",
                         "clone3(2): %s", strerror(-err));
        return err;
    }
    if (err == -EINVAL) {
        open_report_fill(report, step,
                         "fork after unshare(CLONE_NEWPID) or setns(2), and open the platform in the child "
                         "(unshare --fork)",
                         "clone(2): this process can have no threads: its children belong to another pid namespace");
        return -EOPNOTSUPP;
    }
    return open_report_call(report, step, "clone(2)", err);
}

/* Which of its calls made a stub give up. */
static const char *const calls_of_stubs[] = {
    [STUB_EXIT_SWEEP] = "munmap(2)",           [STUB_EXIT_PRCTL] = "prctl(2)",
    [STUB_EXIT_PARENT] = "getppid(2)",         [STUB_EXIT_SIGALTSTACK] = "sigaltstack(2)",
    [STUB_EXIT_SIGMASK] = "rt_sigprocmask(2)", [STUB_EXIT_SECCOMP] = "seccomp(2)",
};

static int stub_gave_up(struct open_report *report, const char *step, const char *call)
{
    open_report_fill(report, step, "let the seccomp filter that is in the way allow that call",
                     "the stub gave up: %s failed", call);
    return -EPERM;
}

int open_report_end(struct open_report *report, const char *step, int32_t reason, int32_t status)
{
    const size_t count = sizeof(calls_of_stubs) / sizeof(calls_of_stubs[0]);

    if (reason == TG_DEAD_EXITED && status >= 0 && (size_t)status < count && calls_of_stubs[status])
        return stub_gave_up(report, step, calls_of_stubs[status]);
    if (reason == TG_DEAD_KILLED && status == STUB_SIGNAL_SIGRETURN)
        return stub_gave_up(report, step, "rt_sigreturn(2)");
    if (reason == TG_DEAD_KILLED && status == SIGSYS) {
        open_report_fill(report, step,
                         "open the platform before that filter is loaded, or let it allow what stubs need",
                         "a seccomp filter that this process had before kills stubs or threads of them");
        return -EPERM;
    }
    open_report_fill(report, step, "look at the kernel's log: the host may have been out of memory",
                     "the stub ended (%s %d)", reason == TG_DEAD_EXITED ? "exit status" : "signal", status);
    return -EIO;
}
