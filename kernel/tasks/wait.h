/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a task waits in a system call: for descriptors, for a point in time, or until somebody wakes it. */
#ifndef TRAPGATE_KERNEL_WAIT_H
#define TRAPGATE_KERNEL_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tasks/timer_heap.h"

struct task;

/* Why a handler is called. */
enum wake_reason {
    WAKE_NONE,    /* the first time for this call */
    WAKE_READY,   /* a descriptor is ready, a futex was woken, a child ended */
    WAKE_TIMEOUT, /* the deadline has passed */
    WAKE_SIGNAL,  /* never seen by a handler: a signal ends the call */
};

#define DEADLINE_NEVER INT64_MAX

/* What a waiting task waits for: any of these ends the wait. */
struct wait {
    struct pollfd *fds; /* kept from wait to wait; fd_capacity entries */
    size_t fd_count;
    size_t fd_capacity;
    int64_t deadline; /* CLOCK_MONOTONIC nanoseconds, or DEADLINE_NEVER */
    struct timer timer;
    uint64_t transferred; /* what a write that waited in between has written so far */

    /*
     * Called instead of the call's handler when a signal with a handler ends
     * the wait; returns the call's result. NULL: the call is made again after a
     * handler with SA_RESTART, and is -EINTR after others.
     */
    int64_t (*interrupted)(struct task *task);
    bool uninterruptible; /* signals wait until the call is over */
    bool for_child;       /* the end of a child ends the wait */
};

/*
 * Makes the task wait; each returns SYSCALL_WAITS for the handler to return.
 * fds are descriptors of the host that stay open at least until the guest
 * closes what they stand for; events are those of poll(2). A deadline is
 * absolute: a handler that is called again after WAKE_READY and waits once
 * more passes task->wait.deadline, which is kept until the call is over.
 */
int64_t task_wait_fd(struct task *task, int fd, short events);
int64_t task_wait_fds(struct task *task, const struct pollfd *fds, size_t count, int64_t deadline);
int64_t task_wait_until(struct task *task, int64_t deadline);

/* For a call that has begun to wait, and that is -EINTR after any handler, with SA_RESTART too. */
void task_wait_never_restarts(struct task *task);

/* For a task that ends: takes it off every list that could wake it, and off the list of those that are ready. */
void task_leave_lists(struct task *task);

/* The loop's: forgets what the last wait was for, before the next call. */
void task_wait_clear(struct task *task);

/* Ends the wait of a waiting task: its handler is called again before the loop waits. Harmless for others. */
void task_wake(struct task *task, enum wake_reason reason);

/* CLOCK_MONOTONIC in nanoseconds, the clock of deadlines. */
int64_t monotonic_now(void);

/* The deadline that is ns nanoseconds from now, without overflow. */
int64_t deadline_after(int64_t ns);

/* Puts a task that does not run in line to be started, or to have its call made again; and takes it out of the line. */
void task_make_ready(struct task *task);
void task_leave_ready_list(struct task *task);

#endif
