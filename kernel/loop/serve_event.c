/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What an event of the library means for the task: a call to serve, a signal, its end. */
#include <errno.h>
#include <string.h>

#include "arch.h"
#include "loop/loop.h"
#include "loop/sandbox.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "signals/signals.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/*
 * The host has no thread or no memory for it now. Others end some time, so it
 * stays ready, in a wait that only time ends.
 */
static void start_later(struct task *task)
{
    const struct sandbox *sandbox = task->sandbox;
    int64_t now = monotonic_now();

    if (!task->refused_since)
        task->refused_since = now;
    if ((sandbox->running || now - task->refused_since < REFUSED_PATIENCE_NS) &&
        task_wait_until(task, now + REFUSED_RETRY_NS) == SYSCALL_WAITS) {
        task->wait.uninterruptible = true;
        return;
    }
    sandbox_tell(sandbox, "process %d was ended: the host does not let it run: %s", task->process->pid,
                 tg_platform_last_error(sandbox->platform));
    process_end(task->process, SIGKILL);
}

/* Back to the guest, unless a signal says otherwise. */
static void resume(struct task *task)
{
    struct sandbox *sandbox = task->sandbox;
    int err;

    if (task->state != TASK_ENDED && (task->signals.pending | task->process->signals.pending))
        signal_deliver(task);
    if (task->state == TASK_ENDED)
        return;
    task->state = TASK_RUNNING;
    guest_copy_by_none();
    err = tg_queue_submit(sandbox->queue, task->context, task->process->space->subprocess);
    if (!err) {
        task->refused_since = 0;
        sandbox->running++;
        return;
    }
    task->state = TASK_SERVED;
    /* Registers that no processor takes come from the guest: a signal frame or a start address. */
    if (err == -EINVAL)
        process_end(task->process, SIGSEGV);
    else
        start_later(task);
}

/* The call is over. A mask that it replaced comes back before signals are looked at. */
static void finish_call(struct task *task, int64_t result)
{
    tg_context_set_return(task->context, result);
    task_wait_clear(task);
    signal_restore_mask(task);
    resume(task);
}

/*
 * Whether the call that a signal has ended is made again. Another thread may
 * have taken the signal meanwhile: then nothing has happened, unless some bytes
 * are written already.
 */
static bool shall_restart(struct task *task)
{
    const struct signal_action *action = signal_next_action(task);

    return action ? !task->wait.interrupted && (action->flags & SA_RESTART) : !task->wait.transferred;
}

/*
 * A signal ends the wait. The mask that the call replaced decides which signal
 * is delivered, and the frame puts the old one back.
 */
static void interrupt_call(struct task *task)
{
    if (!shall_restart(task) || tg_context_restart_syscall(task->context) != 0)
        tg_context_set_return(task->context, task->wait.interrupted ? task->wait.interrupted(task) : -EINTR);
    task_wait_clear(task);
    signal_deliver(task);
    if (task->state == TASK_ENDED)
        return;
    signal_restore_mask(task);
    resume(task);
}

static int64_t call_handler(struct task *task, uint64_t nr, const uint64_t args[6])
{
    struct sandbox *sandbox = task->sandbox;
    const struct syscall_entry *entry = &sandbox->table.entries[nr];
    struct syscall_counter *counter = &sandbox->counters.calls[nr];
    int64_t start, result;

    if (!entry->handler) {
        sandbox->counters.unknown_calls++;
        return -ENOSYS;
    }
    if (!sandbox->options.measure)
        return entry->handler(task, args);
    start = monotonic_now();
    result = entry->handler(task, args);
    counter->handler_ns += (uint64_t)(monotonic_now() - start);
    return result;
}

/* Makes the call, for the first time or once more. */
static void make_call(struct task *task, uint64_t nr, const uint64_t args[6])
{
    struct sandbox *sandbox = task->sandbox;
    int64_t result = call_handler(task, nr, args);

    if (result == SYSCALL_WAITS) {
        if (args != task->call.args)
            memcpy(task->call.args, args, sizeof(task->call.args));
        task->call.nr = nr;
        sandbox->counters.waits++;
        if (!task->wait.uninterruptible && signal_deliverable(task))
            task_wake(task, WAKE_SIGNAL);
        return;
    }
    if (sandbox->options.on_exit)
        sandbox->options.on_exit(task, nr, result);
    if (result != SYSCALL_NO_RESULT) {
        if (result < 0 && result >= -4095)
            sandbox->counters.calls[nr].errors++;
        finish_call(task, result);
    } else if (task->state != TASK_ENDED) {
        task_wait_clear(task);
        resume(task);
    }
}

/* Calls of other tables have numbers that mean something else here. */
static void serve_call(struct task *task, const tg_event *event)
{
    struct sandbox *sandbox = task->sandbox;
    const tg_event_syscall *call = &event->u.syscall;

    if (call->nr >= SYSCALL_NR_MAX || (event->flags & (TG_FLAG_COMPAT | TG_FLAG_X32))) {
        sandbox->counters.other_calls++;
        finish_call(task, -ENOSYS);
        return;
    }
    sandbox->counters.calls[call->nr].calls++;
    if (sandbox->options.on_enter)
        sandbox->options.on_enter(task, call->nr, call->args);
    make_call(task, call->nr, call->args);
}

static void keep_trap(struct task *task, uint32_t flags, uint32_t trap, uint64_t error_code, uint64_t addr)
{
    struct task_signals *signals = &task->signals;

    if (!(flags & TG_FLAG_TRAP))
        return;
    signals->trap_number = trap;
    signals->error_code = error_code;
    if (trap == arch_page_fault)
        signals->fault_address = addr;
}

static void serve_fault(struct task *task, uint32_t flags, const tg_event_fault *fault)
{
    siginfo_t info = {.si_signo = fault->signo, .si_code = fault->code};

    task->sandbox->counters.faults++;
    info.si_addr = (void *)(uintptr_t)fault->addr;
    keep_trap(task, flags, fault->trap, fault->error_code, fault->addr);
    signal_force(task, &info);
}

static void serve_exception(struct task *task, uint32_t flags, const tg_event_exception *exception)
{
    siginfo_t info = {.si_signo = exception->signo, .si_code = exception->code, .si_errno = exception->trap_errno};

    task->sandbox->counters.exceptions++;
    info.si_addr = (void *)(uintptr_t)exception->addr;
    keep_trap(task, flags, exception->trap, exception->error_code, exception->addr);
    signal_force(task, &info);
}

/* The address space is gone, and no guest did that. */
static void tell_death(const struct task *task, const tg_event_dead *dead)
{
    const struct sandbox *sandbox = task->sandbox;
    int32_t pid = task->process->pid;

    switch (dead->reason) {
    case TG_DEAD_KILLED:
        sandbox_tell(sandbox,
                     "process %d was killed from outside by signal %d: by the host's memory limits or an operator", pid,
                     dead->status);
        break;
    case TG_DEAD_EXITED:
        sandbox_tell(
            sandbox,
            "process %d could not run: its stub ended itself with status %d; the host refuses a system call that "
            "the backend needs: see 'trapgate doctor', or try the other --backend",
            pid, dead->status);
        break;
    default:
        sandbox_tell(sandbox, "process %d was ended: it has spoilt the stub that it ran in", pid);
        break;
    }
}

static void serve(struct task *task, const tg_event *event)
{
    task->sandbox->running--;
    task->state = TASK_SERVED;
    if (task->must_end) {
        task_end(task, 0);
        return;
    }
    switch (event->kind) {
    case TG_EVENT_SYSCALL:
        serve_call(task, event);
        return;
    case TG_EVENT_FAULT:
        serve_fault(task, event->flags, &event->u.fault);
        break;
    case TG_EVENT_EXCEPTION:
        serve_exception(task, event->flags, &event->u.exception);
        break;
    case TG_EVENT_INTERRUPTED:
        task->interrupt_sent = false;
        break;
    case TG_EVENT_DEAD:
        tell_death(task, &event->u.dead);
        process_end(task->process, SIGKILL);
        break;
    default:
        process_end(task->process, SIGKILL);
        break;
    }
    if (task->state != TASK_ENDED)
        resume(task);
}

/* Its context rests in its memory, if it still has one, after this call. */
static void copy_by(const struct task *task, uint64_t nr, const uint64_t args[6])
{
    const struct address_space *space = task->process->space;

    if (space)
        guest_copy_by(task->context, space->subprocess, nr, args);
}

void event_serve(struct task *task, const tg_event *event)
{
    bool is_call = event->kind == TG_EVENT_SYSCALL;

    copy_by(task, is_call ? event->u.syscall.nr : GUEST_NO_CALL, event->u.syscall.args);
    serve(task, event);
    guest_copy_by_none();
}

static void go_on(struct task *task)
{
    enum wake_reason reason = task->wake;

    task->state = TASK_SERVED;
    if (task->refused_since) {
        task_wait_clear(task);
        resume(task);
    } else if (reason == WAKE_NONE) {
        resume(task);
    } else if (reason == WAKE_SIGNAL) {
        interrupt_call(task);
    } else {
        make_call(task, task->call.nr, task->call.args);
    }
}

void event_continue(struct task *task)
{
    copy_by(task, GUEST_NO_CALL, NULL);
    go_on(task);
    guest_copy_by_none();
}
