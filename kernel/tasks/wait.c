/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tasks/futex_queue.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* poll(2) with more than this is refused: RLIMIT_NOFILE of guests is lower. */
#define WAIT_FDS_MAX 65536

int64_t monotonic_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t deadline_after(int64_t ns)
{
    int64_t deadline;

    if (__builtin_add_overflow(monotonic_now(), ns, &deadline))
        return DEADLINE_NEVER;
    return deadline;
}

static void list_fd_waiter(struct task *task)
{
    struct sandbox *sandbox = task->sandbox;

    task->prev_waiting = NULL;
    task->next_waiting = sandbox->fd_waiters;
    if (sandbox->fd_waiters)
        sandbox->fd_waiters->prev_waiting = task;
    sandbox->fd_waiters = task;
    sandbox->fd_waiter_count++;
    sandbox->waited_fds += task->wait.fd_count;
    sandbox->fd_waiters_generation++;
}

static void unlist_fd_waiter(struct task *task)
{
    struct sandbox *sandbox = task->sandbox;

    if (task->prev_waiting)
        task->prev_waiting->next_waiting = task->next_waiting;
    else
        sandbox->fd_waiters = task->next_waiting;
    if (task->next_waiting)
        task->next_waiting->prev_waiting = task->prev_waiting;
    sandbox->fd_waiter_count--;
    sandbox->waited_fds -= task->wait.fd_count;
    sandbox->fd_waiters_generation++;
}

static int keep_fds(struct wait *wait, const struct pollfd *fds, size_t count)
{
    if (count > WAIT_FDS_MAX)
        return -EINVAL;
    if (count > wait->fd_capacity) {
        struct pollfd *larger = reallocarray(wait->fds, count, sizeof(*larger));
        if (!larger)
            return -ENOMEM;
        wait->fds = larger;
        wait->fd_capacity = count;
    }
    if (count)
        memcpy(wait->fds, fds, count * sizeof(*fds));
    wait->fd_count = count;
    return 0;
}

int64_t task_wait_fds(struct task *task, const struct pollfd *fds, size_t count, int64_t deadline)
{
    const struct sandbox *sandbox = task->sandbox;
    struct wait *wait = &task->wait;
    int err = count && count > sandbox->waited_fds_max - sandbox->waited_fds ? -ENOMEM : keep_fds(wait, fds, count);

    if (err)
        return err;
    wait->deadline = deadline;
    if (deadline != DEADLINE_NEVER && timer_heap_add(&task->sandbox->timers, &wait->timer, deadline) != 0) {
        wait->fd_count = 0;
        return -ENOMEM;
    }
    if (count)
        list_fd_waiter(task);
    task->state = TASK_WAITING;
    return SYSCALL_WAITS;
}

int64_t task_wait_fd(struct task *task, int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};

    return task_wait_fds(task, &one, 1, DEADLINE_NEVER);
}

int64_t task_wait_until(struct task *task, int64_t deadline)
{
    return task_wait_fds(task, NULL, 0, deadline);
}

static int64_t interrupted_by_handler(struct task *task)
{
    (void)task;
    return -EINTR;
}

void task_wait_never_restarts(struct task *task)
{
    task->wait.interrupted = interrupted_by_handler;
}

/* Takes the task off every list that could wake it. */
static void stop_waiting(struct task *task)
{
    if (task->wait.fd_count) {
        unlist_fd_waiter(task);
        task->wait.fd_count = 0;
    }
    timer_heap_remove(&task->sandbox->timers, &task->wait.timer);
    futex_queue_leave(task);
}

void task_wait_clear(struct task *task)
{
    struct wait *wait = &task->wait;

    wait->deadline = DEADLINE_NEVER;
    wait->interrupted = NULL;
    wait->transferred = 0;
    wait->uninterruptible = false;
    wait->for_child = false;
    task->signals.taking = 0;
    task->wake = WAKE_NONE;
    read_log_clear(&task->reads);
}

void task_make_ready(struct task *task)
{
    struct sandbox *sandbox = task->sandbox;

    task->state = TASK_READY;
    task->on_ready_list = true;
    task->next_ready = NULL;
    task->prev_ready = sandbox->ready_last;
    if (sandbox->ready_last)
        sandbox->ready_last->next_ready = task;
    else
        sandbox->ready_first = task;
    sandbox->ready_last = task;
}

void task_leave_ready_list(struct task *task)
{
    struct sandbox *sandbox = task->sandbox;

    if (!task->on_ready_list)
        return;
    if (task->prev_ready)
        task->prev_ready->next_ready = task->next_ready;
    else
        sandbox->ready_first = task->next_ready;
    if (task->next_ready)
        task->next_ready->prev_ready = task->prev_ready;
    else
        sandbox->ready_last = task->prev_ready;
    task->on_ready_list = false;
}

void task_wake(struct task *task, enum wake_reason reason)
{
    if (task->state != TASK_WAITING)
        return;
    stop_waiting(task);
    task->wake = reason;
    task_make_ready(task);
}

void task_leave_lists(struct task *task)
{
    if (task->state == TASK_WAITING)
        stop_waiting(task);
    task_leave_ready_list(task);
}
