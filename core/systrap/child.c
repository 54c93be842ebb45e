/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/descriptors.h"
#include "core/systrap/child.h"
#include "core/thread_end.h"

/* The kernel's name for the processor time of a process; the C library's way to it asks the host for more. */
#define PROCESS_CLOCK(pid) ((clockid_t)(~(uint32_t)(pid) << 3 | 2))

/*
 * The stub's number, and until let_go() nobody reaps the stub. 0: it has been
 * reaped, or there never was one, or it is no child of this process, which was
 * forked from its parent and would not know when it is reaped there. Pairs with
 * child_reap(), which takes the number away and then waits for whoever has
 * counted himself in here; who comes later finds no number.
 */
static pid_t hold(struct systrap_subprocess *subprocess)
{
    atomic_fetch_add(&subprocess->child_users, 1);
    return platform_is_ours(subprocess->base.platform) ? atomic_load(&subprocess->child) : 0;
}

static void let_go(struct systrap_subprocess *subprocess)
{
    atomic_fetch_sub(&subprocess->child_users, 1);
}

void child_set(struct systrap_subprocess *subprocess, pid_t pid)
{
    atomic_store(&subprocess->child, pid);
    atomic_store(&subprocess->base.pid, pid);
}

int child_open(const struct systrap_subprocess *subprocess)
{
    return descriptor_pidfd(atomic_load(&subprocess->child));
}

bool child_kill(struct systrap_subprocess *subprocess)
{
    pid_t pid = hold(subprocess);
    bool done = !pid;

    /* A container's profile may know none but the older calls. */
    if (!done && subprocess->pidfd >= 0)
        done = !syscall(SYS_pidfd_send_signal, subprocess->pidfd, SIGKILL, NULL, 0);
    done = done || !kill(pid, SIGKILL) || !syscall(SYS_tgkill, pid, pid, SIGKILL);
    let_go(subprocess);
    return done;
}

void child_kick(struct systrap_subprocess *subprocess, pid_t thread)
{
    int saved_errno = errno;
    pid_t pid = hold(subprocess);

    if (pid)
        syscall(SYS_tgkill, pid, thread, INTERRUPT_KICK_SIGNAL);
    let_go(subprocess);
    errno = saved_errno;
}

/* The syscall thread's number is that of the process. */
int child_place(struct systrap_subprocess *subprocess, const cpu_set_t *cpus)
{
    pid_t pid = hold(subprocess);
    int err = !pid ? -ESRCH : sched_setaffinity(pid, sizeof(*cpus), cpus) ? -errno : 0;

    let_go(subprocess);
    return err;
}

/* Once a thread has ended, the host may give its number to one of another process: then this process has none such. */
static bool is_gone(pid_t pid, pid_t thread)
{
    return thread_has_ended(thread) || (syscall(SYS_tgkill, pid, thread, 0) && errno == ESRCH);
}

bool child_has_thread(struct systrap_subprocess *subprocess, pid_t thread)
{
    pid_t pid = hold(subprocess);
    bool ended = pid && is_gone(pid, thread ? thread : pid);

    let_go(subprocess);
    return !ended;
}

/*
 * Asks the host what has become of a child, or of any in a group, and leaves it
 * to be waited for. 0 or -errno; info->si_pid is 0 when nothing of what was
 * asked for has happened. The C library's function is a point of cancellation, and a switch that asks may
 * hold locks: no_cancel.h.
 */
static int ask(idtype_t type, pid_t id, int what, siginfo_t *info)
{
    int result;

    memset(info, 0, sizeof(*info));
    do
        result = (int)syscall(SYS_waitid, type, id, info, what | WNOHANG | WNOWAIT | __WALL, NULL);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

bool child_is_stopped(struct systrap_subprocess *subprocess)
{
    pid_t pid = hold(subprocess);
    siginfo_t info;
    bool stopped = pid && !ask(P_PID, pid, WSTOPPED, &info) && info.si_pid == pid;

    let_go(subprocess);
    return stopped;
}

bool child_run_time(struct systrap_subprocess *subprocess, int64_t *ns)
{
    pid_t pid = hold(subprocess);
    struct timespec time;
    bool known = pid && !clock_gettime(PROCESS_CLOCK(pid), &time);

    let_go(subprocess);
    if (known)
        *ns = time.tv_sec * NS_PER_SECOND + time.tv_nsec;
    return known;
}

static bool is_readable(int fd)
{
    struct pollfd poll = {.fd = fd, .events = POLLIN};
    const struct timespec now = {0};

    return fd >= 0 && ppoll(&poll, 1, &now, NULL) == 1 && poll.revents & POLLIN;
}

/* Where the host refuses waitid(2) the pidfd may tell: else nobody would ever hear of a death. */
static enum child_state state_of(const struct systrap_subprocess *subprocess, pid_t pid, int err, const siginfo_t *info)
{
    if (!pid || err == -ECHILD)
        return CHILD_TAKEN;
    if (err)
        return is_readable(subprocess->pidfd) ? CHILD_ENDED : CHILD_LIVES;
    return info->si_pid == pid ? CHILD_ENDED : CHILD_LIVES;
}

enum child_state child_look(struct systrap_subprocess *subprocess, int32_t *reason, int32_t *status)
{
    pid_t pid = hold(subprocess);
    siginfo_t info;
    int err = pid ? ask(P_PID, pid, WEXITED, &info) : 0;
    enum child_state state = state_of(subprocess, pid, err, &info);

    let_go(subprocess);
    *reason = TG_DEAD_KILLED;
    *status = SIGKILL;
    if (state == CHILD_ENDED && !err) {
        *reason = info.si_code == CLD_EXITED ? TG_DEAD_EXITED : TG_DEAD_KILLED;
        *status = info.si_status;
    } else if (state == CHILD_TAKEN) {
        atomic_store(&subprocess->child, 0);
    }
    return state;
}

bool child_wait(struct systrap_subprocess *subprocess, int64_t until_ns)
{
    int32_t reason;
    int32_t status;

    /* The pidfd first: mostly the process was killed just now, and is about to end. */
    while (!descriptor_wait(subprocess->pidfd, until_ns)) {
        if (child_look(subprocess, &reason, &status) != CHILD_LIVES)
            return true;
        if (clock_monotonic_ns() >= until_ns)
            return false;
    }
    return true;
}

static void wait_for_zombie(pid_t pid)
{
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
}

void child_reap(struct systrap_subprocess *subprocess)
{
    /* Pairs with hold(). */
    pid_t pid = atomic_exchange(&subprocess->child, 0);

    while (atomic_load(&subprocess->child_users))
        sched_yield();
    if (pid)
        wait_for_zombie(pid);
}

pid_t child_ended_in(pid_t group)
{
    siginfo_t info;

    return ask(P_PGID, group, WEXITED, &info) ? 0 : info.si_pid;
}

bool child_reap_stranger(pid_t pid, pid_t group)
{
    siginfo_t info;

    if (pid <= 0 || getpgid(pid) != group || ask(P_PID, pid, WEXITED, &info))
        return true;
    if (info.si_pid != pid)
        return false;
    wait_for_zombie(pid);
    return true;
}
