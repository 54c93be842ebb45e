/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A context on a stub thread: starting it, and making an event of what stopped it. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/attached.h"
#include "core/event.h"
#include "core/no_cancel.h"
#include "core/ptrace/guest_memory.h"
#include "core/ptrace/lazy_fp.h"
#include "core/ptrace/life.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/ptrace_run.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/stub_wait.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_thread.h"
#include "core/subprocess_life.h"

/* ---- looking at the guest ---- */

static size_t read_guest(void *arg, uint64_t addr, void *buffer, size_t length)
{
    return ptrace_read_guest(arg, addr, buffer, length);
}

static bool guest_executable(void *arg, uint64_t addr)
{
    struct ptrace_subprocess *subprocess = arg;

    return mapping_table_executable(&subprocess->base.mappings, addr);
}

static struct arch_guest guest_of(struct stub_thread *thread)
{
    return (struct arch_guest){.read = read_guest, .executable = guest_executable, .arg = thread->subprocess};
}

/* ---- events ---- */

void run_event_dead(struct ptrace_context *context, struct ptrace_subprocess *subprocess, struct tg_event *event)
{
    context->base.in_syscall = false;
    if (subprocess_is_dead(&subprocess->base))
        event_dead(event, &context->base, subprocess->base.death_reason, subprocess->base.death_status);
    else
        event_dead(event, &context->base, TG_DEAD_KILLED, SIGKILL);
}

static void event_interrupted(struct ptrace_context *context, struct tg_event *event)
{
    context->base.in_syscall = false;
    count(context->base.platform, COUNTER_INTERRUPTS);
    event_begin(event, &context->base, TG_EVENT_INTERRUPTED);
}

static void syscall_event(struct ptrace_context *context, const struct arch_syscall *syscall, struct tg_event *event)
{
    struct tg_context *base = &context->base;

    context_count(base, CONTEXT_SYSCALLS);
    tgi_arch.regs_stopped(&base->regs, syscall);
    base->in_syscall = true;
    base->syscall = *syscall;
    event_syscall(event, base, syscall);
}

static void signal_event(struct ptrace_context *context, struct stub_thread *thread, const siginfo_t *info,
                         struct tg_event *event)
{
    const struct arch_guest guest = guest_of(thread);
    const tg_regs *regs = &context->base.regs;
    uint32_t access = 0;
    struct arch_exception exception;
    struct arch_syscall syscall;

    tgi_arch.regs_stopped(&context->base.regs, NULL);
    if (tgi_arch.syscall_from_signal(&context->base.regs, info, &guest, &syscall)) {
        syscall_event(context, &syscall, event);
        return;
    }
    context->base.in_syscall = false;
    if (event_is_fault(info))
        access = tgi_arch.fault_access(regs, (uint64_t)(uintptr_t)info->si_addr, &guest);
    exception = tgi_arch_ptrace->derive_exception(regs, info, access, &guest);
    if (event_is_fault(info))
        event_fault(event, &context->base, info, access, &exception);
    else
        event_exception(event, &context->base, info, &exception);
}

/* ---- starting ---- */

static int start_failed(struct ptrace_context *context, struct ptrace_subprocess *subprocess, int err,
                        struct tg_event *event)
{
    struct tg_platform *platform = context->base.platform;

    switch (err) {
    case -ESRCH:
        run_event_dead(context, subprocess, event);
        return 1;
    case -EBUSY:
    case -ENOMEM:
    case -EPERM:
        return err;
    case -EIO:
    case -EINVAL:
        return platform_fail(platform, -EINVAL, "run a context: the kernel refuses the context's registers (%s)",
                             strerror(-err));
    default:
        return platform_fail(platform, -EIO, "run a context: %s", strerror(-err));
    }
}

int run_start(struct ptrace_context *context, struct stub_thread *thread, struct tg_event *event)
{
    struct tg_context *base = &context->base;
    struct ptrace_subprocess *subprocess = thread->subprocess;
    int err = fp_load(context, thread);

    if (!err) {
        tg_regs regs = base->regs;

        tgi_arch_ptrace->regs_resumed(&regs);
        err = stub_thread_set_regs(thread, &regs);
    }
    if (err)
        return start_failed(context, subprocess, err, event);
    placement_before_run(thread);
    if (!interrupt_arm(&base->interrupt, atomic_load(&subprocess->base.pid), thread->tid)) {
        event_interrupted(context, event);
        return 1;
    }
    context_count(base, CONTEXT_SWITCHES);
    err = stub_thread_resume_guest(thread, tgi_arch.single_stepping(&base->regs));
    if (!err)
        return 0;
    interrupt_disarm(&base->interrupt);
    return start_failed(context, subprocess, err, event);
}

/* ---- stopping ---- */

static int fetch_regs(struct ptrace_context *context, struct stub_thread *thread)
{
    tg_regs *regs = &context->base.regs;
    const bool stepping = tgi_arch.single_stepping(regs);
    int err = stub_thread_get_regs(thread, regs);

    if (!err && tgi_arch_ptrace->regs_fetched)
        tgi_arch_ptrace->regs_fetched(regs, stepping);
    return err;
}

static int stopped_by_syscall(struct ptrace_context *context, struct stub_thread *thread, struct tg_event *event)
{
    struct arch_syscall syscall;
    int err = stub_thread_syscall(thread, &syscall);

    if (!err)
        err = fetch_regs(context, thread);
    if (!err)
        syscall_event(context, &syscall, event);
    return err;
}

/* 1: nobody's business. */
static int stopped_by_signal(struct ptrace_context *context, struct stub_thread *thread, int status,
                             struct tg_event *event)
{
    siginfo_t info;
    int err;

    if (WSTOPSIG(status) == INTERRUPT_KICK_SIGNAL) {
        if (!interrupt_pending(&context->base.interrupt))
            return 1;
        err = fetch_regs(context, thread);
        if (err)
            return err;
        tgi_arch.regs_stopped(&context->base.regs, NULL);
        interrupt_take(&context->base.interrupt);
        event_interrupted(context, event);
        return 0;
    }
    err = stub_thread_siginfo(thread, &info);
    if (err)
        return err;
    /* Sent by somebody, not raised by the processor: not the guest's doing. */
    if (info.si_code <= 0)
        return 1;
    err = fetch_regs(context, thread);
    if (!err)
        signal_event(context, thread, &info, event);
    return err;
}

/* The FP state is dealt with and no more kicks come. */
static int come_to_rest(struct ptrace_context *context, struct stub_thread *thread)
{
    interrupt_disarm(&context->base.interrupt);
    return fp_after_run(context, thread);
}

static void finish_dead(struct ptrace_context *context, struct stub_thread *thread, struct tg_event *event)
{
    interrupt_disarm(&context->base.interrupt);
    fp_forget_thread(thread);
    run_event_dead(context, thread->subprocess, event);
}

static bool runs_again(struct ptrace_context *context, struct stub_thread *thread)
{
    count(context->base.platform, COUNTER_SPURIOUS_STOPS);
    return stub_thread_resume_guest(thread, tgi_arch.single_stepping(&context->base.regs)) == 0;
}

enum run_outcome run_stopped(struct ptrace_context *context, struct stub_thread *thread, int status,
                             struct tg_event *event)
{
    int err = 1;

    if (stub_status_is_death(status)) {
        stub_thread_died(thread, status);
        finish_dead(context, thread, event);
        return RUN_EVENT;
    }
    if (stub_status_is_call(status))
        err = stopped_by_syscall(context, thread, event);
    else if (status >> 16 == 0)
        err = stopped_by_signal(context, thread, status, event);
    if (err == 1) {
        if (runs_again(context, thread))
            return RUN_AGAIN;
        err = -ESRCH;
    }
    if (!err)
        err = come_to_rest(context, thread);
    if (err) {
        /* Only a dying stub refuses these requests; one that does so alive is not to be trusted. */
        ptrace_subprocess_die(thread->subprocess, TG_DEAD_CORRUPT, 0);
        finish_dead(context, thread, event);
    } else if (event->kind != TG_EVENT_INTERRUPTED && interrupt_pending(&context->base.interrupt)) {
        event->flags |= TG_FLAG_INTERRUPT_PENDING;
    }
    return RUN_EVENT;
}

int run_suspend(struct ptrace_context *context, struct stub_thread *thread)
{
    int err = fetch_regs(context, thread);

    if (err) {
        interrupt_disarm(&context->base.interrupt);
        return err;
    }
    tgi_arch.regs_stopped(&context->base.regs, NULL);
    return come_to_rest(context, thread);
}

/* ---- the blocking switch ---- */

static int switch_on(struct ptrace_context *context, struct stub_thread *thread, struct tg_event *event)
{
    int status;
    int err = run_start(context, thread, event);

    if (err)
        return err < 0 ? err : 0;
    do
        placement_wait(thread, &status);
    while (run_stopped(context, thread, status, event) == RUN_AGAIN);
    return 0;
}

static int switch_in(struct ptrace_context *context, struct ptrace_subprocess *subprocess, struct tg_event *event)
{
    struct tracer *tracer = tracer_current(context->base.platform);
    struct stub_thread *thread;
    int err;

    if (!tracer)
        return platform_fail(context->base.platform, -ENOMEM, "run a context: no memory");
    err = tracer_acquire(tracer, subprocess, context, &thread);
    if (err == -ESRCH) {
        run_event_dead(context, subprocess, event);
        return 0;
    }
    if (err)
        return err;
    /* Not before there is a thread: a switch that fails leaves them attached. */
    err = context->base.attached_state ? context_write_attached(&context->base, &subprocess->base) : 0;
    if (!err)
        err = switch_on(context, thread, event);
    tracer_release(thread);
    return err;
}

int ptrace_context_switch(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event)
{
    NO_CANCELLATION;
    int err;

    if (!platform_may_be_ours(context->platform))
        return platform_refuse_fork(context->platform, "switch");
    if (!subprocess_enter(subprocess)) {
        event_dead(event, context, TG_DEAD_DESTROYED, 0);
        return 0;
    }
    err = switch_in(to_ptrace_context(context), to_ptrace_subprocess(subprocess), event);
    subprocess_leave(subprocess);
    return err;
}
