/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The system calls about signals. */
#include <errno.h>
#include <sys/syscall.h>

#include "arch.h"
#include "memory/guest_copy.h"
#include "memory/guest_time.h"
#include "memory/read_once.h"
#include "memory/task_memory.h"
#include "signals/signals.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

#define MASK_SIZE 8

static bool can_be_caught(int signo)
{
    return signo != SIGKILL && signo != SIGSTOP;
}

/* What is ignored from now on is not pending any more. */
static void forget_if_ignored(struct process *process, int signo)
{
    if (signal_action_of(&process->signals, signo)->handler != (uint64_t)(uintptr_t)SIG_IGN)
        return;
    process->signals.pending &= ~SIGNAL_BIT(signo);
    for (struct task *task = process->tasks; task; task = task->next_in_process)
        task->signals.pending &= ~SIGNAL_BIT(signo);
}

static int64_t do_rt_sigaction(struct task *task, const uint64_t args[6])
{
    struct signal_action new_action, old;
    int signo = (int)args[0], err = 0;

    if (!signal_is_valid(args[0]) || args[3] != MASK_SIZE || (args[1] && !can_be_caught(signo)))
        return -EINVAL;
    old = *signal_action_of(&task->process->signals, signo);
    if (args[1])
        err = guest_read(task_memory(task), args[1], &new_action, sizeof(new_action));
    if (!err && args[2])
        err = guest_write(task_memory(task), args[2], &old, sizeof(old));
    if (err || !args[1])
        return err;
    *signal_action_of(&task->process->signals, signo) = new_action;
    forget_if_ignored(task->process, signo);
    return 0;
}

static int64_t do_rt_sigprocmask(struct task *task, const uint64_t args[6])
{
    uint64_t old = task->signals.blocked, set = 0;
    int err;

    if (args[3] != MASK_SIZE)
        return -EINVAL;
    if (args[1]) {
        err = guest_read_u64(task_memory(task), args[1], &set);
        if (err)
            return err;
        switch ((int)args[0]) {
        case SIG_BLOCK:
            signal_set_mask(task, old | set);
            break;
        case SIG_UNBLOCK:
            signal_set_mask(task, old & ~set);
            break;
        case SIG_SETMASK:
            signal_set_mask(task, set);
            break;
        default:
            return -EINVAL;
        }
    }
    return args[2] ? guest_write_u64(task_memory(task), args[2], old) : 0;
}

static int64_t do_rt_sigpending(struct task *task, const uint64_t args[6])
{
    if (args[1] > MASK_SIZE)
        return -EINVAL;
    return guest_write_u64(task_memory(task), args[0],
                           (task->signals.pending | task->process->signals.pending) & task->signals.blocked);
}

/* Ended by a signal only: the loop makes -EINTR of it, and the handler's frame has the old mask. */
static int64_t wait_for_signal(struct task *task)
{
    int64_t result = task_wait_until(task, DEADLINE_NEVER);

    task_wait_never_restarts(task);
    return result;
}

static int64_t do_rt_sigsuspend(struct task *task, const uint64_t args[6])
{
    uint64_t mask;
    int err;

    if (args[1] != MASK_SIZE)
        return -EINVAL;
    err = guest_read_u64(task_memory(task), args[0], &mask);
    if (err)
        return err;
    signal_set_temporary_mask(task, mask);
    return wait_for_signal(task);
}

static int64_t do_pause(struct task *task, const uint64_t args[6])
{
    (void)args;
    return wait_for_signal(task);
}

static int64_t do_rt_sigtimedwait(struct task *task, const uint64_t args[6])
{
    uint64_t set;
    siginfo_t info;
    int64_t ns = INT64_MAX, result;
    int err;

    if (args[3] != MASK_SIZE)
        return -EINVAL;
    err = read_once_u64(task, args[0], &set);
    if (!err && args[2] && task->wake == WAKE_NONE)
        err = guest_read_timespec(task_memory(task), args[2], &ns);
    if (err)
        return err;
    if (signal_take(task, set, &info)) {
        err = args[1] ? guest_write(task_memory(task), args[1], &info, sizeof(info)) : 0;
        return err ? err : info.si_signo;
    }
    if (task->wake == WAKE_TIMEOUT || (args[2] && ns == 0))
        return -EAGAIN;
    if (task->wake == WAKE_NONE && args[2])
        task->wait.deadline = deadline_after(ns);
    result = task_wait_until(task, task->wait.deadline);
    task_wait_never_restarts(task);
    task->signals.taking = set;
    return result;
}

static int64_t do_rt_sigreturn(struct task *task, const uint64_t args[6])
{
    uint64_t mask = task->signals.blocked;
    siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};
    int err = arch_pop_signal_frame(task, &mask);

    (void)args;
    signal_set_mask(task, mask);
    if (err)
        signal_force(task, &info);
    return SYSCALL_NO_RESULT;
}

static int set_alternate_stack(struct task_signals *signals, const stack_t *wanted)
{
    int mode = wanted->ss_flags & ~STACK_AUTODISARM;

    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode != SS_DISABLE && wanted->ss_size < 2048)
        return -ENOMEM;
    signals->stack_base = mode == SS_DISABLE ? 0 : (uint64_t)(uintptr_t)wanted->ss_sp;
    signals->stack_size = mode == SS_DISABLE ? 0 : wanted->ss_size;
    signals->stack_flags = wanted->ss_flags;
    return 0;
}

static stack_t describe_alternate_stack(const struct task_signals *signals, bool in_use)
{
    int mode = in_use ? SS_ONSTACK : 0;

    return (stack_t){.ss_sp = (void *)(uintptr_t)signals->stack_base,
                     .ss_flags = (signals->stack_size ? mode : SS_DISABLE) | (signals->stack_flags & STACK_AUTODISARM),
                     .ss_size = signals->stack_size};
}

static int64_t do_sigaltstack(struct task *task, const uint64_t args[6])
{
    struct task_signals *signals = &task->signals;
    bool in_use = on_alternate_stack(signals, arch_stack_pointer(task->context));
    stack_t old = describe_alternate_stack(signals, in_use);
    stack_t wanted;
    int err = 0;

    if (args[0])
        err = guest_read(task_memory(task), args[0], &wanted, sizeof(wanted));
    if (!err && args[0])
        err = in_use ? -EPERM : set_alternate_stack(signals, &wanted);
    if (!err && args[1])
        err = guest_write(task_memory(task), args[1], &old, sizeof(old));
    return err;
}

static siginfo_t info_from(const struct task *sender, int signo, int code)
{
    siginfo_t info = {.si_signo = signo, .si_code = code};

    info.si_pid = sender->process->pid;
    info.si_uid = sender->process->credentials.uid;
    return info;
}

static bool is_addressed(const struct process *process, const struct task *sender, int32_t pid)
{
    if (process->ended)
        return false;
    if (pid == -1)
        return process != sender->process && process != process->sandbox->init;
    return process->pgid == (pid == 0 ? sender->process->pgid : -pid);
}

/* Whoever shares the session may let it go on. */
static bool may_signal(const struct task *sender, const struct process *process, int signo)
{
    const struct process *own = sender->process;

    return own == process || credentials_may_signal(&own->credentials, &process->credentials) ||
           (signo == SIGCONT && own->sid == process->sid);
}

static int64_t send_to_process(struct task *task, struct process *process, const siginfo_t *info)
{
    if (!may_signal(task, process, info->si_signo))
        return -EPERM;
    if (info->si_signo)
        signal_queue_process(process, info);
    return 0;
}

/* One that could be signalled is enough. */
static int64_t kill_group(struct task *task, int32_t pid, int signo)
{
    siginfo_t info = info_from(task, signo, SI_USER);
    int64_t result = -ESRCH;

    for (struct process *process = task->sandbox->processes; process; process = process->next) {
        int64_t sent = is_addressed(process, task, pid) ? send_to_process(task, process, &info) : -ESRCH;

        if (result != 0 && sent != -ESRCH)
            result = sent;
    }
    return result;
}

/* Any of its threads' numbers names a process here. */
static struct process *process_with_thread(struct sandbox *sandbox, int32_t tid)
{
    struct process *process = process_find(sandbox, tid);
    const struct task *task = process ? NULL : task_find(sandbox, tid);

    return task ? task->process : process;
}

static int64_t do_kill(struct task *task, const uint64_t args[6])
{
    int32_t pid = (int32_t)args[0];
    struct process *process;
    siginfo_t info;

    if (args[1] && !signal_is_valid(args[1]))
        return -EINVAL;
    /* The one number that has no positive twin names no group. */
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid <= 0)
        return kill_group(task, pid, (int)args[1]);
    process = process_with_thread(task->sandbox, pid);
    if (!process)
        return -ESRCH;
    info = info_from(task, (int)args[1], SI_USER);
    return send_to_process(task, process, &info);
}

static int64_t send_to_thread(struct task *task, int32_t pid, int32_t tid, uint64_t signo)
{
    struct task *target = tid > 0 ? task_find(task->sandbox, tid) : NULL;
    siginfo_t info;

    if (tid <= 0 || pid == 0 || (signo && !signal_is_valid(signo)))
        return -EINVAL;
    if (!target || (pid > 0 && target->process->pid != pid))
        return -ESRCH;
    if (!may_signal(task, target->process, (int)signo))
        return -EPERM;
    info = info_from(task, (int)signo, SI_TKILL);
    if (signo)
        signal_queue_task(target, &info);
    return 0;
}

static int64_t do_tkill(struct task *task, const uint64_t args[6])
{
    return send_to_thread(task, -1, (int32_t)args[0], args[1]);
}

static int64_t do_tgkill(struct task *task, const uint64_t args[6])
{
    return (int32_t)args[0] <= 0 ? -EINVAL : send_to_thread(task, (int32_t)args[0], (int32_t)args[1], args[2]);
}

const struct syscall_entry signal_syscalls[] = {
    {SYS_rt_sigaction, "rt_sigaction", do_rt_sigaction},
    {SYS_rt_sigprocmask, "rt_sigprocmask", do_rt_sigprocmask},
    {SYS_rt_sigpending, "rt_sigpending", do_rt_sigpending},
    {SYS_rt_sigsuspend, "rt_sigsuspend", do_rt_sigsuspend},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait", do_rt_sigtimedwait},
    {SYS_rt_sigreturn, "rt_sigreturn", do_rt_sigreturn},
    {SYS_sigaltstack, "sigaltstack", do_sigaltstack},
    {SYS_kill, "kill", do_kill},
    {SYS_tkill, "tkill", do_tkill},
    {SYS_tgkill, "tgkill", do_tgkill},
    {SYSCALL_NR_OLDER, "pause", do_pause},
};
const size_t signal_syscalls_count = sizeof(signal_syscalls) / sizeof(signal_syscalls[0]);
