/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "time/interval_timers.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "memory/guest_copy.h"
#include "memory/guest_time.h"
#include "memory/task_memory.h"
#include "signals/signals.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

#define NS_PER_S INT64_C(1000000000)

/* What the alarm has instead of an id: timer_create never gives it. */
#define ALARM_ID (-1)

/* Enough for every program; a guest shall not fill our memory with them. */
#define TIMERS_MAX 1024

struct interval_timer {
    struct timer timer;
    struct process *process;
    struct interval_timer *next;
    int32_t id;
    int32_t tid; /* the thread that gets the signal, or 0 for the process */
    clockid_t clock;
    int64_t interval; /* ns; 0: expires once */
    int32_t overrun;
    siginfo_t info;
    bool silent; /* SIGEV_NONE */
};

static struct interval_timer *find_timer(const struct process *process, int32_t id)
{
    struct interval_timer *timer = process->timers;

    while (timer && timer->id != id)
        timer = timer->next;
    return timer;
}

/* Starts it for the next time that lies ahead; returns how many it has missed. */
static int64_t start_again(struct interval_timer *timer)
{
    int64_t late = monotonic_now() - timer->timer.deadline;
    int64_t missed = late > 0 ? late / timer->interval : 0;
    int64_t deadline;

    if (!__builtin_add_overflow(timer->timer.deadline, (missed + 1) * timer->interval, &deadline))
        timer_heap_add(&timer->process->sandbox->timers, &timer->timer, deadline);
    return missed;
}

static void expired(struct timer *base)
{
    struct interval_timer *timer = (struct interval_timer *)base;
    struct process *process = timer->process;
    struct task *task = timer->tid ? task_find(process->sandbox, timer->tid) : NULL;
    siginfo_t info = timer->info;
    int64_t missed = timer->interval ? start_again(timer) : 0;

    timer->overrun = missed < INT_MAX ? (int32_t)missed : INT_MAX;
    if (timer->id != ALARM_ID)
        info.si_overrun = timer->overrun;
    if (timer->silent || (timer->tid && (!task || task->process != process)))
        return;
    if (task)
        signal_queue_task(task, &info);
    else
        signal_queue_process(process, &info);
}

static struct interval_timer *new_timer(struct process *process, int32_t id, clockid_t clock)
{
    struct interval_timer *timer = calloc(1, sizeof(*timer));

    if (!timer)
        return NULL;
    timer->timer.expire = expired;
    timer->process = process;
    timer->id = id;
    timer->clock = clock;
    timer->info.si_signo = SIGALRM;
    timer->info.si_code = SI_KERNEL;
    timer->next = process->timers;
    process->timers = timer;
    return timer;
}

static void delete_timer(struct interval_timer *timer)
{
    struct interval_timer **link = &timer->process->timers;

    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
    timer_heap_remove(&timer->process->sandbox->timers, &timer->timer);
    free(timer);
}

void interval_timers_delete(struct process *process, bool with_alarm)
{
    struct interval_timer *timer, *next;

    for (timer = process->timers; timer; timer = next) {
        next = timer->next;
        if (with_alarm || timer->id != ALARM_ID)
            delete_timer(timer);
    }
}

/* Nanoseconds until it expires; 0 when it is not set. */
static int64_t remaining(const struct interval_timer *timer)
{
    int64_t ns;

    if (!timer || !timer->timer.slot)
        return 0;
    ns = timer->timer.deadline - monotonic_now();
    return ns > 0 ? ns : 1;
}

/* A deadline of DEADLINE_NEVER stops it. */
static int set_timer(struct interval_timer *timer, int64_t deadline, int64_t interval)
{
    struct timer_heap *heap = &timer->process->sandbox->timers;

    timer_heap_remove(heap, &timer->timer);
    timer->interval = interval;
    return deadline == DEADLINE_NEVER ? 0 : timer_heap_add(heap, &timer->timer, deadline);
}

static struct interval_timer *get_alarm(struct process *process)
{
    struct interval_timer *alarm = find_timer(process, ALARM_ID);

    return alarm ? alarm : new_timer(process, ALARM_ID, CLOCK_MONOTONIC);
}

static int64_t value_ns(const struct timeval *value)
{
    int64_t ns;

    if (value->tv_sec < 0 || value->tv_usec < 0 || value->tv_usec >= 1000000)
        return -EINVAL;
    if (__builtin_mul_overflow((int64_t)value->tv_sec, NS_PER_S, &ns))
        return INT64_MAX;
    return ns < INT64_MAX - NS_PER_S ? ns + value->tv_usec * 1000 : INT64_MAX;
}

static struct timeval to_timeval(int64_t ns)
{
    return (struct timeval){.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / 1000};
}

static int write_alarm(struct task *task, uint64_t addr)
{
    const struct interval_timer *alarm = find_timer(task->process, ALARM_ID);
    const struct itimerval value = {.it_interval = to_timeval(alarm ? alarm->interval : 0),
                                    .it_value = to_timeval(remaining(alarm))};

    return guest_write(task_memory(task), addr, &value, sizeof(value));
}

static int64_t do_getitimer(struct task *task, const uint64_t args[6])
{
    return args[0] == ITIMER_REAL ? write_alarm(task, args[1]) : -EINVAL;
}

static int64_t do_setitimer(struct task *task, const uint64_t args[6])
{
    struct itimerval wanted = {0};
    struct interval_timer *alarm;
    int64_t value, interval;
    int err = 0;

    /* The clocks of the other two are not ours to watch: they run in the stub. */
    if (args[0] != ITIMER_REAL)
        return -EINVAL;
    if (args[1])
        err = guest_read(task_memory(task), args[1], &wanted, sizeof(wanted));
    if (err)
        return err;
    value = value_ns(&wanted.it_value);
    interval = value_ns(&wanted.it_interval);
    if (value < 0 || interval < 0)
        return -EINVAL;
    if (args[2])
        err = write_alarm(task, args[2]);
    if (err)
        return err;
    alarm = get_alarm(task->process);
    if (!alarm)
        return -ENOMEM;
    return set_timer(alarm, value ? deadline_after(value) : DEADLINE_NEVER, interval);
}

static int64_t do_alarm(struct task *task, const uint64_t args[6])
{
    struct interval_timer *alarm = get_alarm(task->process);
    int64_t seconds = (int64_t)(uint32_t)args[0], left;

    if (!alarm)
        return -ENOMEM;
    /* Rounded, but never to 0 while it is set. */
    left = (remaining(alarm) + NS_PER_S / 2) / NS_PER_S;
    if (!left && remaining(alarm))
        left = 1;
    set_timer(alarm, seconds ? deadline_after(seconds * NS_PER_S) : DEADLINE_NEVER, 0);
    return left;
}

static int read_event(struct task *task, uint64_t addr, struct interval_timer *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct task *receiver;

    timer->info.si_code = SI_TIMER;
    timer->info.si_timerid = timer->id;
    event.sigev_value.sival_int = timer->id;
    if (addr && guest_read(task_memory(task), addr, &event, sizeof(event)) != 0)
        return -EFAULT;
    timer->info.si_value = event.sigev_value;
    timer->silent = event.sigev_notify == SIGEV_NONE;
    if (timer->silent)
        return 0;
    if (!signal_is_valid((uint64_t)event.sigev_signo))
        return -EINVAL;
    timer->info.si_signo = event.sigev_signo;
    if (event.sigev_notify == SIGEV_SIGNAL)
        return 0;
    receiver = event.sigev_notify == SIGEV_THREAD_ID ? task_find(task->sandbox, event._sigev_un._tid) : NULL;
    if (!receiver || receiver->process != task->process)
        return -EINVAL;
    timer->tid = receiver->tid;
    return 0;
}

static bool is_timer_clock(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
}

static size_t count_timers(const struct process *process)
{
    size_t count = 0;

    for (const struct interval_timer *timer = process->timers; timer; timer = timer->next)
        count++;
    return count;
}

static int64_t do_timer_create(struct task *task, const uint64_t args[6])
{
    struct interval_timer *timer;
    int err;

    if (!is_timer_clock((clockid_t)args[0]))
        return -EINVAL;
    if (count_timers(task->process) >= TIMERS_MAX)
        return -EAGAIN;
    timer = new_timer(task->process, task->process->next_timer_id, (clockid_t)args[0]);
    if (!timer)
        return -EAGAIN;
    err = read_event(task, args[1], timer);
    if (!err)
        err = guest_write_u32(task_memory(task), args[2], (uint32_t)timer->id);
    if (err) {
        delete_timer(timer);
        return err;
    }
    task->process->next_timer_id = (task->process->next_timer_id + 1) & INT32_MAX;
    return 0;
}

static struct interval_timer *timer_argument(const struct task *task, uint64_t id)
{
    return (int32_t)id < 0 ? NULL : find_timer(task->process, (int32_t)id);
}

static int write_setting(struct task *task, const struct interval_timer *timer, uint64_t addr)
{
    int err = guest_write_timespec(task_memory(task), addr, timer->interval);

    return err ? err
               : guest_write_timespec(task_memory(task), addr + offsetof(struct itimerspec, it_value),
                                      remaining(timer));
}

static int64_t do_timer_gettime(struct task *task, const uint64_t args[6])
{
    const struct interval_timer *timer = timer_argument(task, args[0]);

    return timer ? write_setting(task, timer, args[1]) : -EINVAL;
}

static int64_t do_timer_settime(struct task *task, const uint64_t args[6])
{
    struct interval_timer *timer = timer_argument(task, args[0]);
    int64_t interval, value, deadline = DEADLINE_NEVER;
    int err;

    if (!timer)
        return -EINVAL;
    err = guest_read_timespec(task_memory(task), args[2], &interval);
    if (!err)
        err = guest_read_timespec(task_memory(task), args[2] + offsetof(struct itimerspec, it_value), &value);
    if (!err && args[3])
        err = write_setting(task, timer, args[3]);
    if (err)
        return err;
    if (value)
        deadline = (args[1] & TIMER_ABSTIME) ? deadline_at_clock(timer->clock, value) : deadline_after(value);
    timer->overrun = 0;
    return set_timer(timer, deadline, interval);
}

static int64_t do_timer_getoverrun(struct task *task, const uint64_t args[6])
{
    const struct interval_timer *timer = timer_argument(task, args[0]);

    return timer ? timer->overrun : -EINVAL;
}

static int64_t do_timer_delete(struct task *task, const uint64_t args[6])
{
    struct interval_timer *timer = timer_argument(task, args[0]);

    if (!timer)
        return -EINVAL;
    delete_timer(timer);
    return 0;
}

const struct syscall_entry interval_timer_syscalls[] = {
    {SYS_getitimer, "getitimer", do_getitimer},
    {SYS_setitimer, "setitimer", do_setitimer},
    {SYSCALL_NR_OLDER, "alarm", do_alarm},
    {SYS_timer_create, "timer_create", do_timer_create},
    {SYS_timer_gettime, "timer_gettime", do_timer_gettime},
    {SYS_timer_settime, "timer_settime", do_timer_settime},
    {SYS_timer_getoverrun, "timer_getoverrun", do_timer_getoverrun},
    {SYS_timer_delete, "timer_delete", do_timer_delete},
};
const size_t interval_timer_syscalls_count = sizeof(interval_timer_syscalls) / sizeof(interval_timer_syscalls[0]);
