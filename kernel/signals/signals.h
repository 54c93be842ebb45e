/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sending signals to tasks and processes, and delivery before a task goes back to the guest. */
#ifndef TRAPGATE_KERNEL_SIGNALS_H
#define TRAPGATE_KERNEL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "tasks/signal_state.h"

struct process;
struct task;

/* Sends a signal that the kernel raises, SIGPIPE for instance. */
void signal_send_task(struct task *task, int signo);
void signal_send_process(struct process *process, int signo);

/* The same with everything that siginfo_t says. A number that is no signal is dropped. */
void signal_queue_task(struct task *task, const siginfo_t *info);
void signal_queue_process(struct process *process, const siginfo_t *info);

/*
 * Replaces the signal mask until the system call is over: ppoll, pselect6,
 * epoll_pwait, rt_sigsuspend. Once for each call: when task->wake is
 * WAKE_NONE.
 */
void signal_set_temporary_mask(struct task *task, uint64_t mask);

/* True when a signal waits that the task does not block; drops those that it ignores. */
bool signal_deliverable(struct task *task);

/* The action of the signal that signal_deliver() takes next; NULL when there is none. */
const struct signal_action *signal_next_action(struct task *task);

/* Takes a pending signal of the set off its list; false when none is pending. */
bool signal_take(struct task *task, uint64_t set, siginfo_t *info);

/* The end of a call that signal_set_temporary_mask() was made for. */
void signal_restore_mask(struct task *task);

/* For execve: handlers are gone, what is ignored stays so. */
void signal_reset_actions(struct process *process);

/* After a change of the mask: a signal may be due now. */
void signal_set_mask(struct task *task, uint64_t mask);

/*
 * Before a task goes back to the guest: takes the deliverable signals one by
 * one, sets up a handler's frame or does the default action. A handler ends the
 * wait of a task that is in a system call.
 */
void signal_deliver(struct task *task);

/* Turns a FAULT or EXCEPTION into a signal that cannot be blocked away. */
void signal_force(struct task *task, const siginfo_t *info);

#endif
