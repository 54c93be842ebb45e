/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The one loop: collects events, serves them, and sleeps when there is nothing to do. */
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "loop/fd_poller.h"
#include "loop/sandbox.h"
#include "memory/address_space.h"
#include "processes/burial.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/*
 * How long the loop itself looks after waited-for descriptors, one look after
 * every event, before the poller's thread does it: a pipe between two guests
 * is ready within a few events, and a thread hand-over costs more than a look.
 */
#define LOOK_NS          INT64_C(200000)
#define LOOK_DESCRIPTORS 16

/*
 * How many looks at the same descriptors may see nothing. Where one guest makes
 * calls all the time while another waits for long, a look after each of them
 * costs more than the one hand-over to the poller that comes instead.
 */
#define LOOKS_IN_VAIN 64

#define WAIT_FOR_EVER (-1)

static void continue_ready_tasks(struct sandbox *sandbox)
{
    struct task *task;

    /* An expired timer may have ended some. */
    tasks_bury(sandbox);
    while ((task = sandbox->ready_first)) {
        task_leave_ready_list(task);
        event_continue(task);
        tasks_bury(sandbox);
    }
}

static void expire_timers(struct sandbox *sandbox)
{
    struct timer *timer = timer_heap_first(&sandbox->timers);
    int64_t now;

    if (!timer)
        return;
    for (now = monotonic_now(); timer && timer->deadline <= now; timer = timer_heap_first(&sandbox->timers)) {
        timer_heap_remove(&sandbox->timers, timer);
        timer->expire(timer);
    }
}

/* All descriptors that tasks wait for, one after the other, in sandbox->poll_fds. -ENOMEM when there is no room. */
static int64_t collect_fds(struct sandbox *sandbox)
{
    size_t count = 0;

    for (const struct task *task = sandbox->fd_waiters; task; task = task->next_waiting)
        count += task->wait.fd_count;
    if (count > sandbox->poll_capacity) {
        struct pollfd *larger = reallocarray(sandbox->poll_fds, count, sizeof(*larger));
        if (!larger)
            return -ENOMEM;
        sandbox->poll_fds = larger;
        sandbox->poll_capacity = count;
    }
    count = 0;
    for (const struct task *task = sandbox->fd_waiters; task; task = task->next_waiting)
        for (size_t i = 0; i < task->wait.fd_count; i++)
            sandbox->poll_fds[count++] = task->wait.fds[i];
    return (int64_t)count;
}

/* Looks at what tasks wait for, for at most timeout_ns, and wakes those that can go on. */
static int look_at_fds(struct sandbox *sandbox, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int64_t count = collect_fds(sandbox);
    const struct pollfd *fd = sandbox->poll_fds;
    struct task *task, *next;

    if (count < 0)
        return (int)count;
    if (ppoll(sandbox->poll_fds, (nfds_t)count, timeout_ns < 0 ? NULL : &timeout, NULL) < 0) {
        if (errno == EINTR)
            return 0;
        sandbox_tell(sandbox, "cannot wait for descriptors: ppoll: %s", strerror(errno));
        return -errno;
    }
    for (task = sandbox->fd_waiters; task; task = next) {
        bool ready = false;
        next = task->next_waiting;
        for (size_t i = 0; i < task->wait.fd_count; i++, fd++)
            ready = ready || fd->revents != 0;
        if (ready)
            task_wake(task, WAKE_READY);
    }
    return 0;
}

static int arm_poller(struct sandbox *sandbox)
{
    int64_t count;
    int err;

    if (sandbox->watched_generation == sandbox->fd_waiters_generation)
        return 0;
    count = collect_fds(sandbox);
    if (count < 0)
        return (int)count;
    err = fd_poller_watch(sandbox->poller, sandbox->poll_fds, (size_t)count);
    if (!err)
        sandbox->watched_generation = sandbox->fd_waiters_generation;
    else
        sandbox_tell(sandbox, "cannot watch descriptors: %s", strerror(-err));
    return err;
}

static int64_t time_to_first_deadline(const struct sandbox *sandbox)
{
    const struct timer *timer = timer_heap_first(&sandbox->timers);
    int64_t ns;

    if (!timer)
        return WAIT_FOR_EVER;
    ns = timer->deadline - monotonic_now();
    return ns > 0 ? ns : 0;
}

static int64_t shorter(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

/*
 * The host has no thread or no memory to run any of what is submitted. All of it
 * stays submitted, so the loop asks again: others on the host end some time.
 */
static int wait_for_host(struct sandbox *sandbox, int err)
{
    const struct timespec pause = {.tv_nsec = REFUSED_RETRY_NS};
    int64_t now = monotonic_now();

    if (!sandbox->refused_since)
        sandbox->refused_since = now;
    if ((err != -EAGAIN && err != -ENOMEM) || now - sandbox->refused_since > REFUSED_PATIENCE_NS)
        return err;
    nanosleep(&pause, NULL);
    return 0;
}

static int serve_events(struct sandbox *sandbox, int64_t timeout_ns, size_t *count)
{
    tg_event *events = sandbox->events;
    int err = tg_queue_wait(sandbox->queue, events, EVENTS_AT_ONCE, timeout_ns, count);

    if (err) {
        *count = 0;
        return wait_for_host(sandbox, err);
    }
    sandbox->refused_since = 0;
    for (size_t i = 0; i < *count; i++) {
        event_serve((struct task *)(uintptr_t)events[i].user_data, &events[i]);
        tasks_bury(sandbox);
    }
    return 0;
}

/* Wakes those whose descriptors the poller has seen. It watches nothing any more. */
static int look_after_poller(struct sandbox *sandbox)
{
    sandbox->watched_generation = 0;
    return look_at_fds(sandbox, 0);
}

/* Whether the loop itself is to look once more, before the poller does it. */
static bool shall_look(struct sandbox *sandbox)
{
    if (sandbox->looked_generation != sandbox->fd_waiters_generation) {
        sandbox->looked_generation = sandbox->fd_waiters_generation;
        sandbox->looks_in_vain = 0;
    }
    return sandbox->fd_waiter_count <= LOOK_DESCRIPTORS && sandbox->looks_in_vain++ < LOOKS_IN_VAIN;
}

/* Guests run and some tasks wait for descriptors. */
static int wait_for_both(struct sandbox *sandbox)
{
    int64_t timeout = time_to_first_deadline(sandbox);
    size_t count;
    int err;

    if (shall_look(sandbox)) {
        err = look_at_fds(sandbox, 0);
        if (err || sandbox->ready_first)
            return err;
        err = serve_events(sandbox, shorter(timeout, LOOK_NS), &count);
        if (err || count)
            return err;
    }
    /* What it saw in that time has woken the wait above, and wakes none again. */
    if (fd_poller_take_ready(sandbox->poller))
        return look_after_poller(sandbox);
    err = arm_poller(sandbox);
    if (err)
        return err;
    err = serve_events(sandbox, timeout, &count);
    if (!err && fd_poller_take_ready(sandbox->poller))
        err = look_after_poller(sandbox);
    return err;
}

static int wait_once(struct sandbox *sandbox)
{
    size_t count;

    if (!sandbox->running)
        return look_at_fds(sandbox, time_to_first_deadline(sandbox));
    if (!sandbox->fd_waiters)
        return serve_events(sandbox, time_to_first_deadline(sandbox), &count);
    return wait_for_both(sandbox);
}

/* The sandbox ends with its first process. */
static void end_all_processes(struct sandbox *sandbox)
{
    for (struct process *process = sandbox->processes; process; process = process->next)
        process_end(process, SIGKILL);
}

static bool is_over(const struct sandbox *sandbox)
{
    return !sandbox->running && !sandbox->ready_first;
}

/* The poller adds one of its own. */
static size_t most_polled_fds(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 2)
        return 1;
    return limit.rlim_cur < SIZE_MAX ? (size_t)limit.rlim_cur - 1 : SIZE_MAX;
}

int sandbox_run(struct sandbox *sandbox, int *wait_status)
{
    int64_t start = monotonic_now();
    int err = 0;

    sandbox->waited_fds_max = most_polled_fds();
    while (!err) {
        continue_ready_tasks(sandbox);
        if (sandbox->init->ended) {
            end_all_processes(sandbox);
            continue_ready_tasks(sandbox);
            if (is_over(sandbox))
                break;
        }
        address_spaces_destroy_left(sandbox);
        err = wait_once(sandbox);
        expire_timers(sandbox);
    }
    sandbox->counters.wall_ns = (uint64_t)(monotonic_now() - start);
    *wait_status = sandbox->exit_status;
    return err;
}
