/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Signals: actions of a process, masks and pending signals of a task, and
 * delivery before a task goes back to the guest.
 */
#ifndef TRAPGATE_KERNEL_SIGNALS_H
#define TRAPGATE_KERNEL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct process;
struct task;

#define SIGNAL_MAX 64

/* Numbers come from guests: every one is looked at before it is kept or counts as an index. */
static inline bool signal_is_valid(uint64_t signo)
{
    return signo >= 1 && signo <= SIGNAL_MAX;
}

/* Bit of a signal in a mask. */
#define SIGNAL_BIT(signo) (UINT64_C(1) << ((signo)-1))

/* struct kernel_sigaction, as rt_sigaction(2) reads it. */
struct signal_action {
    uint64_t handler; /* SIG_DFL, SIG_IGN or a guest address */
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct process_signals {
    struct signal_action actions[SIGNAL_MAX + 1]; /* signal_action_of() finds them */
    uint64_t pending;                             /* for any thread of the process */
    siginfo_t pending_info[SIGNAL_MAX + 1];
};

struct task_signals {
    uint64_t blocked;
    uint64_t pending;
    siginfo_t pending_info[SIGNAL_MAX + 1];
    uint64_t saved_mask; /* what sigsuspend, ppoll and pselect put back */
    bool has_saved_mask;
    uint64_t taking;     /* what sigtimedwait waits for */
    uint64_t stack_base; /* sigaltstack(2) */
    uint64_t stack_size;
    int32_t stack_flags;
    /* Of the last trap, and of the last page fault: every signal frame shows them, as on Linux. */
    uint64_t trap_number;
    uint64_t error_code;
    uint64_t fault_address;
};

/* What the process does with a signal; for what is no signal, nothing that means anything. */
static inline struct signal_action *signal_action_of(struct process_signals *signals, int signo)
{
    return &signals->actions[signal_is_valid((uint64_t)signo) ? signo : 0];
}

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
