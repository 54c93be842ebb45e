/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Clocks, sleeping, processor time, and randomness. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "memory/guest_copy.h"
#include "memory/guest_time.h"
#include "memory/last_write.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/shown_clocks.h"
#include "tasks/task.h"
#include "time/cpu_usage.h"

#define NS_PER_S INT64_C(1000000000)

/* Clocks of the whole system, which are the host's. */
static bool is_system_clock(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        return true;
    default:
        return false;
    }
}

/* A thread's clock is its process's: the host does not tell the threads of a stub apart for us. */
static bool is_process_clock(clockid_t clock)
{
    return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

static int64_t process_ns(const struct process *process)
{
    return process->cpu_ns + cpu_usage_ns(process->space);
}

static int now_for(const struct task *task, clockid_t clock, struct timespec *now)
{
    return guest_clock_now(task->sandbox, task_memory(task), clock, now);
}

static int64_t do_clock_gettime(struct task *task, const uint64_t args[6])
{
    clockid_t clock = (clockid_t)args[0];
    struct timespec now;
    int err;

    if (is_process_clock(clock))
        return guest_write_timespec(task_memory(task), args[1], process_ns(task->process));
    if (!is_system_clock(clock))
        return -EINVAL;
    err = now_for(task, clock, &now);
    return err ? err : last_write(task, args[1], &now, sizeof(now));
}

static int64_t do_clock_getres(struct task *task, const uint64_t args[6])
{
    clockid_t clock = (clockid_t)args[0];
    struct timespec resolution;

    if (!is_system_clock(clock) && !is_process_clock(clock))
        return -EINVAL;
    if (clock_getres(clock, &resolution) != 0)
        return -errno;
    return args[1] ? last_write(task, args[1], &resolution, sizeof(resolution)) : 0;
}

static int64_t do_gettimeofday(struct task *task, const uint64_t args[6])
{
    const struct timezone utc = {0};
    struct timespec time = {0};
    tg_transfer answers[2];
    struct timeval now;
    size_t count = 0;
    int err = now_for(task, CLOCK_REALTIME, &time);

    now = (struct timeval){.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
    if (args[0])
        answers[count++] = guest_writing(args[0], &now, sizeof(now));
    if (args[1])
        answers[count++] = guest_writing(args[1], &utc, sizeof(utc));
    return err ? err : guest_transfer(task_memory(task), answers, count);
}

static int64_t do_time(struct task *task, const uint64_t args[6])
{
    struct timespec now = {0};
    int err = now_for(task, CLOCK_REALTIME, &now);

    if (!err && args[0] && guest_write(task_memory(task), args[0], &now.tv_sec, sizeof(now.tv_sec)) != 0)
        err = -EFAULT;
    return err ? err : now.tv_sec;
}

/* A signal ends a sleep for good: what is left of it is written where the guest asked for it. */
static int64_t write_rest(struct task *task, uint64_t addr)
{
    int64_t rest = task->wait.deadline - monotonic_now();
    int err = addr ? guest_write_timespec(task_memory(task), addr, rest > 0 ? rest : 0) : 0;

    return err ? err : -EINTR;
}

static int64_t nanosleep_interrupted(struct task *task)
{
    return write_rest(task, task->call.args[1]);
}

static int64_t clock_nanosleep_interrupted(struct task *task)
{
    return (task->call.args[1] & TIMER_ABSTIME) ? -EINTR : write_rest(task, task->call.args[3]);
}

static int64_t sleep_until(struct task *task, int64_t deadline, int64_t (*interrupted)(struct task *))
{
    int64_t result = task_wait_until(task, deadline);

    task->wait.interrupted = interrupted;
    return result;
}

static int64_t do_nanosleep(struct task *task, const uint64_t args[6])
{
    int64_t ns;
    int err;

    if (task->wake != WAKE_NONE)
        return 0;
    err = guest_read_timespec(task_memory(task), args[0], &ns);
    if (err)
        return err;
    return sleep_until(task, deadline_after(ns), nanosleep_interrupted);
}

static int64_t do_clock_nanosleep(struct task *task, const uint64_t args[6])
{
    clockid_t clock = (clockid_t)args[0];
    int64_t ns;
    int err;

    if (task->wake != WAKE_NONE)
        return 0;
    if (!is_system_clock(clock))
        return -EINVAL;
    err = guest_read_timespec(task_memory(task), args[2], &ns);
    if (err)
        return err;
    return sleep_until(task, (args[1] & TIMER_ABSTIME) ? deadline_at_clock(clock, ns) : deadline_after(ns),
                       clock_nanosleep_interrupted);
}

static int64_t do_getrusage(struct task *task, const uint64_t args[6])
{
    struct rusage usage;

    switch ((int)args[0]) {
    case RUSAGE_SELF:
    case RUSAGE_THREAD:
        cpu_usage_of_self(task->process, &usage);
        break;
    case RUSAGE_CHILDREN:
        usage = task->process->children_usage;
        break;
    default:
        return -EINVAL;
    }
    return last_write(task, args[1], &usage, sizeof(usage));
}

static int64_t do_times(struct task *task, const uint64_t args[6])
{
    long hertz = sysconf(_SC_CLK_TCK);
    const struct timeval *children = &task->process->children_usage.ru_utime;
    const struct tms times = {
        .tms_utime = process_ns(task->process) / (NS_PER_S / hertz),
        .tms_cutime = children->tv_sec * hertz + children->tv_usec / (1000000 / hertz),
    };

    if (args[0] && guest_write(task_memory(task), args[0], &times, sizeof(times)) != 0)
        return -EFAULT;
    return monotonic_now() / (NS_PER_S / hertz);
}

/* A guest may ask for gigabytes, and nobody is served meanwhile: in large pieces that takes a second. */
#define RANDOM_PIECE 65536

static int64_t do_getrandom(struct task *task, const uint64_t args[6])
{
    unsigned char random[RANDOM_PIECE];
    uint64_t done = 0;
    uint64_t length = args[1] < INT32_MAX ? args[1] : INT32_MAX;

    if (args[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    while (done < length) {
        size_t part = length - done < sizeof(random) ? length - done : sizeof(random);
        ssize_t n = getrandom(random, part, GRND_NONBLOCK);
        size_t put;
        if (n < 0)
            return done ? (int64_t)done : -errno;
        put = guest_write_some(task_memory(task), args[0] + done, random, (size_t)n);
        done += put;
        if (put < (size_t)n)
            return done ? (int64_t)done : -EFAULT;
    }
    return (int64_t)done;
}

const struct syscall_entry time_syscalls[] = {
    {SYS_clock_gettime, "clock_gettime", do_clock_gettime},
    {SYS_clock_getres, "clock_getres", do_clock_getres},
    {SYS_gettimeofday, "gettimeofday", do_gettimeofday},
    {SYSCALL_NR_OLDER, "time", do_time},
    {SYS_nanosleep, "nanosleep", do_nanosleep},
    {SYS_clock_nanosleep, "clock_nanosleep", do_clock_nanosleep},
    {SYS_getrusage, "getrusage", do_getrusage},
    {SYS_times, "times", do_times},
    {SYS_getrandom, "getrandom", do_getrandom},
};
const size_t time_syscalls_count = sizeof(time_syscalls) / sizeof(time_syscalls[0]);
