/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "signals/signals.h"

#include <string.h>

#include "arch.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* Nothing can block, ignore or catch these. */
#define UNSTOPPABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

/* Raised by the instruction that runs: taken before all others. */
#define SYNCHRONOUS                                                                                                    \
    (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGFPE) |        \
     SIGNAL_BIT(SIGSYS))

/*
 * Whose default is to do nothing. There is no job control, so stopping and
 * continuing are nothing, too.
 */
#define IGNORED_BY_DEFAULT                                                                                             \
    (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGSTOP) |     \
     SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

static bool is_ignored(struct process *process, int signo)
{
    uint64_t handler = signal_action_of(&process->signals, signo)->handler;

    if (handler == (uint64_t)(uintptr_t)SIG_DFL)
        return (IGNORED_BY_DEFAULT & SIGNAL_BIT(signo)) != 0;
    return handler == (uint64_t)(uintptr_t)SIG_IGN;
}

static uint64_t all_pending(const struct task *task)
{
    return task->signals.pending | task->process->signals.pending;
}

/* The signal to take first, or 0. */
static int next_signal(const struct task *task)
{
    uint64_t due = all_pending(task) & ~task->signals.blocked;

    if (due & SYNCHRONOUS)
        due &= SYNCHRONOUS;
    return due ? __builtin_ctzll(due) + 1 : 0;
}

static void drop_pending(struct task *task, int signo)
{
    task->signals.pending &= ~SIGNAL_BIT(signo);
    task->process->signals.pending &= ~SIGNAL_BIT(signo);
}

/* The same, once those that are ignored are forgotten. */
static int next_deliverable(struct task *task)
{
    int signo;

    while ((signo = next_signal(task)) != 0) {
        if (!is_ignored(task->process, signo))
            break;
        drop_pending(task, signo);
    }
    return signo;
}

bool signal_deliverable(struct task *task)
{
    return next_deliverable(task) != 0;
}

const struct signal_action *signal_next_action(struct task *task)
{
    int signo = next_deliverable(task);

    return signo != 0 ? signal_action_of(&task->process->signals, signo) : NULL;
}

static bool takes(const struct task *task, int signo)
{
    return task->state == TASK_WAITING && (task->signals.taking & SIGNAL_BIT(signo));
}

/* A signal is pending for the task: whatever it does, it takes it now, unless it blocks it. */
static void notice(struct task *task, int signo)
{
    if (takes(task, signo)) {
        task_wake(task, WAKE_READY);
        return;
    }
    if (!signal_deliverable(task))
        return;
    if (task->state == TASK_RUNNING)
        task_interrupt(task);
    else if (task->state == TASK_WAITING && !task->wait.uninterruptible)
        task_wake(task, WAKE_SIGNAL);
}

static bool is_blocked_somewhere(const struct process *process, int signo)
{
    for (const struct task *task = process->tasks; task; task = task->next_in_process)
        if (task->state != TASK_ENDED && (task->signals.blocked & SIGNAL_BIT(signo)))
            return true;
    return false;
}

/* One that is blocked may be waited for by sigtimedwait, so it is kept even when it would be ignored. */
static bool goes_nowhere(struct process *process, int signo)
{
    return !signal_is_valid((uint64_t)signo) || process->ending || process->ended || !process->tasks ||
           (is_ignored(process, signo) && !is_blocked_somewhere(process, signo));
}

void signal_queue_task(struct task *task, const siginfo_t *info)
{
    int signo = info->si_signo;

    if (signo == SIGKILL) {
        process_end(task->process, SIGKILL);
        return;
    }
    if (task->state == TASK_ENDED || goes_nowhere(task->process, signo))
        return;
    if (!(task->signals.pending & SIGNAL_BIT(signo))) {
        task->signals.pending |= SIGNAL_BIT(signo);
        task->signals.pending_info[signo] = *info;
    }
    notice(task, signo);
}

/* One that waits for it with sigtimedwait, else one that does not block it. */
static struct task *first_receiver(struct process *process, int signo)
{
    struct task *receiver = NULL;

    for (struct task *task = process->tasks; task; task = task->next_in_process) {
        if (takes(task, signo))
            return task;
        if (!receiver && task->state != TASK_ENDED && !(task->signals.blocked & SIGNAL_BIT(signo)))
            receiver = task;
    }
    return receiver;
}

void signal_queue_process(struct process *process, const siginfo_t *info)
{
    int signo = info->si_signo;
    struct task *receiver;

    if (signo == SIGKILL) {
        process_end(process, SIGKILL);
        return;
    }
    if (goes_nowhere(process, signo))
        return;
    if (!(process->signals.pending & SIGNAL_BIT(signo))) {
        process->signals.pending |= SIGNAL_BIT(signo);
        process->signals.pending_info[signo] = *info;
    }
    receiver = first_receiver(process, signo);
    if (receiver)
        notice(receiver, signo);
}

void signal_send_task(struct task *task, int signo)
{
    siginfo_t info = {.si_signo = signo, .si_code = SI_KERNEL};

    signal_queue_task(task, &info);
}

void signal_send_process(struct process *process, int signo)
{
    siginfo_t info = {.si_signo = signo, .si_code = SI_KERNEL};

    signal_queue_process(process, &info);
}

void signal_set_mask(struct task *task, uint64_t mask)
{
    task->signals.blocked = mask & ~UNSTOPPABLE;
}

void signal_set_temporary_mask(struct task *task, uint64_t mask)
{
    if (!task->signals.has_saved_mask)
        task->signals.saved_mask = task->signals.blocked;
    task->signals.has_saved_mask = true;
    signal_set_mask(task, mask);
}

void signal_restore_mask(struct task *task)
{
    if (!task->signals.has_saved_mask)
        return;
    task->signals.has_saved_mask = false;
    task->signals.blocked = task->signals.saved_mask;
}

void signal_reset_actions(struct process *process)
{
    for (int signo = 1; signo <= SIGNAL_MAX; signo++) {
        struct signal_action *action = signal_action_of(&process->signals, signo);
        bool ignored = action->handler == (uint64_t)(uintptr_t)SIG_IGN;
        memset(action, 0, sizeof(*action));
        if (ignored)
            action->handler = (uint64_t)(uintptr_t)SIG_IGN;
    }
}

bool signal_take(struct task *task, uint64_t set, siginfo_t *info)
{
    uint64_t due = all_pending(task) & set;
    int signo;

    if (!due)
        return false;
    signo = __builtin_ctzll(due) + 1;
    if (task->signals.pending & SIGNAL_BIT(signo)) {
        task->signals.pending &= ~SIGNAL_BIT(signo);
        *info = task->signals.pending_info[signo];
    } else {
        task->process->signals.pending &= ~SIGNAL_BIT(signo);
        *info = task->process->signals.pending_info[signo];
    }
    return true;
}

/* The mask that the end of the handler puts back. */
static uint64_t mask_for_frame(const struct task *task)
{
    return task->signals.has_saved_mask ? task->signals.saved_mask : task->signals.blocked;
}

/* False: there is no room for its frame. */
static bool run_handler(struct task *task, const siginfo_t *info)
{
    int signo = info->si_signo;
    struct signal_action *slot = signal_action_of(&task->process->signals, signo);
    struct signal_action action = *slot;

    if (arch_push_signal_frame(task, info, &action, mask_for_frame(task)) != 0)
        return false;
    task->sandbox->counters.signals++;
    task->signals.has_saved_mask = false;
    task->signals.blocked |= action.mask;
    if (!(action.flags & SA_NODEFER))
        task->signals.blocked |= SIGNAL_BIT(signo);
    task->signals.blocked &= ~UNSTOPPABLE;
    if (action.flags & SA_RESETHAND)
        slot->handler = (uint64_t)(uintptr_t)SIG_DFL;
    return true;
}

static bool take_action(struct task *task, const siginfo_t *info)
{
    if (signal_action_of(&task->process->signals, info->si_signo)->handler != (uint64_t)(uintptr_t)SIG_DFL)
        return run_handler(task, info);
    process_end(task->process, info->si_signo);
    return true;
}

static bool take_forced_action(struct task *task, const siginfo_t *info)
{
    bool refused = (task->signals.blocked & SIGNAL_BIT(info->si_signo)) || is_ignored(task->process, info->si_signo);

    if (!refused)
        return take_action(task, info);
    process_end(task->process, info->si_signo);
    return true;
}

/* There was no room for the handler: SIGSEGV comes instead, whose handler may have a stack of its own. */
static void force_instead(struct task *task, int signo)
{
    const siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};

    if (signo == SIGSEGV || !take_forced_action(task, &info))
        process_end(task->process, SIGSEGV);
}

void signal_deliver(struct task *task)
{
    siginfo_t info;
    int signo;

    while (task->state != TASK_ENDED && (signo = next_deliverable(task)) != 0) {
        if (signal_take(task, SIGNAL_BIT(signo), &info) && !take_action(task, &info))
            force_instead(task, signo);
    }
}

void signal_force(struct task *task, const siginfo_t *info)
{
    if (!signal_is_valid((uint64_t)info->si_signo))
        process_end(task->process, SIGSEGV);
    else if (!take_forced_action(task, info))
        force_instead(task, info->si_signo);
}
