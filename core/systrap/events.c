/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a context left in its slot becomes an event; every word of it may be a guest's. */
#include <signal.h>
#include <string.h>

#include "core/event.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/events.h"
#include "core/systrap/patching/patched_threads.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/patching/trampolines.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/slots.h"
#include "core/systrap/statistics.h"
#include "core/systrap/worker_bytes.h"
#include "core/systrap/worker_place.h"

#define RUNS_ON_MAX      1024 /* stops in a row that are nobody's business, before an interrupt is answered there */
#define SYS_SECCOMP_CODE 1

/* ---- looking at the guest ---- */

static size_t read_guest(void *arg, uint64_t addr, void *buffer, size_t length)
{
    struct systrap_subprocess *subprocess = arg;
    size_t done = 0;

    subprocess_read(&subprocess->base, addr, buffer, length, &done);
    return done;
}

static bool guest_executable(void *arg, uint64_t addr)
{
    struct systrap_subprocess *subprocess = arg;

    return mapping_table_executable(&subprocess->base.mappings, addr);
}

/* ---- events ---- */

void systrap_event_dead(struct systrap_context *context, struct tg_event *event)
{
    const struct systrap_subprocess *subprocess = context->bound;

    context->base.in_syscall = false;
    event_dead(event, &context->base, subprocess->base.death_reason, subprocess->base.death_status);
}

/*
 * Whoever destroys the subprocess shuts its door and then looks for what
 * workers hold (slots_rescue()). An event that is taken after that may have
 * come too late for the look, and its FP state be lost: it was not to be.
 */
static void event_destroyed(struct systrap_context *context, struct tg_event *event)
{
    context->base.in_syscall = false;
    event_dead(event, &context->base, TG_DEAD_DESTROYED, 0);
}

void systrap_event_interrupted(struct systrap_context *context, struct tg_event *event)
{
    context->base.in_syscall = false;
    count(context->base.platform, COUNTER_INTERRUPTS);
    event_begin(event, &context->base, TG_EVENT_INTERRUPTED);
}

static void syscall_event(struct systrap_context *context, struct tg_event *event)
{
    context_count(&context->base, CONTEXT_SYSCALLS);
    context->base.in_syscall = true;
    context->base.is_brought = false;
    event_syscall(event, &context->base, &context->base.syscall);
}

static struct arch_exception exception_of(const struct arch_signal *details)
{
    return (struct arch_exception){.number = details->number, .flags = TG_FLAG_TRAP, .error_code = details->error_code};
}

/* The page fault's error code says what the access was; for other faults the instruction does. */
static void fault_event(struct systrap_context *context, const siginfo_t *info, const struct arch_signal *details,
                        struct tg_event *event)
{
    const struct arch_guest guest = {.read = read_guest, .executable = guest_executable, .arg = context->bound};
    uint64_t addr = (uint64_t)(uintptr_t)info->si_addr;
    const struct arch_exception exception = exception_of(details);
    uint32_t access = tgi_arch_systrap->error_access(details);

    if (!access)
        access = tgi_arch.fault_access(&context->base.regs, addr, &guest);
    event_fault(event, &context->base, info, access, &exception);
}

static void exception_event(struct systrap_context *context, const siginfo_t *info, const struct arch_signal *details,
                            struct tg_event *event)
{
    const struct arch_exception exception = exception_of(details);

    event_exception(event, &context->base, info, &exception);
}

/* All but the error number, which is in a line that a call does not need. */
static struct arch_signal read_signal(const struct systrap_slot *slot)
{
    return (struct arch_signal){
        .code = SHARED_LOAD(slot->code),
        .addr = SHARED_LOAD(slot->addr),
        .syscall = SHARED_LOAD(slot->syscall),
        .syscall_arch = SHARED_LOAD(slot->syscall_arch),
        .number = SHARED_LOAD(slot->trap_number),
        .error_code = SHARED_LOAD(slot->trap_error),
    };
}

static siginfo_t siginfo_of(const struct arch_signal *details, int signo)
{
    siginfo_t info = {.si_signo = signo, .si_code = details->code, .si_errno = details->error_number};

    info.si_addr = (void *)(uintptr_t)details->addr;
    if (signo == SIGSYS) {
        info.si_syscall = (int)details->syscall;
        info.si_arch = details->syscall_arch;
    }
    return info;
}

/* A system call that came in another way than by its instruction, registers in the handle. */
static void other_syscall_event(struct systrap_context *context, struct tg_event *event)
{
    tgi_arch.regs_stopped(&context->base.regs, &context->base.syscall);
    context_place_regs(&context->base, REGS_HERE);
    count(context->base.platform, COUNTER_UNPATCHED_CALLS);
    syscall_event(context, event);
}

/* Has code changed since the context was started, or since it last was run again for that? */
static bool met_change(struct systrap_context *context)
{
    const uint32_t gaps = patches_gaps(context->bound);
    const bool met = gaps != context->gaps_met;

    context->gaps_met = gaps;
    return met;
}

/* While code changes its page is away for a moment. Who faults there then goes on when it is back. */
static bool met_gap(struct systrap_context *context, const struct arch_signal *details, const siginfo_t *info)
{
    return info->si_signo == SIGSEGV && tgi_arch_systrap->error_access(details) &&
           patches_were_near(context->bound, (uint64_t)(uintptr_t)info->si_addr) && met_change(context);
}

/* Did the thread get the signal because code was patched? In a trampoline it did what the original code would have
 * done. */
static enum arch_patch_meaning explain(struct systrap_context *context, const struct arch_signal *details,
                                       const siginfo_t *info)
{
    struct tg_context *base = &context->base;
    bool was_in_trampoline = context_regs_place(base) == REGS_HERE;
    bool is_page_fault = tgi_arch_systrap->error_access(details) != 0;
    enum arch_patch_meaning meaning;

    if (was_in_trampoline || is_page_fault)
        return ARCH_PATCH_NOT_OURS;
    if (info->si_signo != SIGILL && info->si_signo != SIGSEGV)
        return ARCH_PATCH_NOT_OURS;
    meaning = patched_thread_explain(context->bound, &base->regs, &base->syscall);
    if (meaning != ARCH_PATCH_TRY_AGAIN)
        return meaning;
    return met_change(context) ? ARCH_PATCH_CONTINUE : ARCH_PATCH_NOT_OURS;
}

/*
 * A guest used the segment register whose base is a worker's while the guest
 * has none. From now on it has its own, and no patched calls. Once for each
 * start: a guest that says so again makes it up. Other accesses fault in the
 * same way, for which nothing is given up.
 */
static bool met_hidden_base(struct systrap_context *context, const siginfo_t *info, const struct arch_guest *guest)
{
    if (context->met_hidden_base || !tgi_arch_patching || !tgi_arch_patching->met_hidden)
        return false;
    if (!tgi_arch_patching->met_hidden(context->slot, info, &context->base.regs, guest))
        return false;
    context->met_hidden_base = true;
    patches_turn_off(context->bound);
    return true;
}

/*
 * A guest that steps itself does so through the original code from now on.
 * True: it has come to a trampoline, which is no step of its own.
 */
static bool met_own_step(struct systrap_context *context, const siginfo_t *info)
{
    bool was_in_trampoline = context_regs_place(&context->base) == REGS_HERE;

    if (info->si_signo != SIGTRAP || info->si_code != TRAP_TRACE)
        return false;
    patches_turn_off(context->bound);
    return was_in_trampoline;
}

/* False: nobody's business. */
static bool signal_event(struct systrap_context *context, const struct arch_signal *details, int signo,
                         struct tg_event *event)
{
    const struct arch_guest guest = {.read = read_guest, .executable = guest_executable, .arg = context->bound};
    const siginfo_t info = siginfo_of(details, signo);
    struct tg_context *base = &context->base;
    enum arch_patch_meaning meaning;

    base->in_syscall = false;
    slot_pull_regs(context);
    if (met_own_step(context, &info) || met_gap(context, details, &info))
        return false;
    meaning = explain(context, details, &info);
    if (meaning == ARCH_PATCH_NOT_OURS && met_hidden_base(context, &info, &guest))
        return false;
    if (meaning == ARCH_PATCH_CONTINUE) {
        context_place_regs(base, REGS_HERE);
        return false;
    }
    if (meaning == ARCH_PATCH_SYSCALL || tgi_arch.syscall_from_signal(&base->regs, &info, &guest, &base->syscall))
        other_syscall_event(context, event);
    else if (event_is_fault(&info))
        fault_event(context, &info, details, event);
    else
        exception_event(context, &info, details, event);
    return true;
}

/* The context is at rest with an event in its slot; false: it is to run again. */
static bool read_event(struct systrap_context *context, struct systrap_slot *slot, uint32_t signo,
                       struct tg_event *event)
{
    struct tg_context *base = &context->base;
    struct arch_signal details;

    if (signo & PATCHED_CALL) {
        uint32_t site = SHARED_LOAD(slot->site);

        tgi_arch_patching->read_syscall(slot, trampoline_return_ip(&context->bound->patches, site), &base->syscall);
        syscall_event(context, event);
        base->is_brought = signo & PATCHED_BROUGHT;
        /* It is asked for soon, and the line is with the worker's processor. */
        if (base->is_brought)
            __builtin_prefetch(worker_place(context->bound, context->held_by, WORKER_BROUGHT));
        systrap_attached_expect(context);
        return true;
    }
    details = read_signal(slot);
    if (signo != SIGSYS || details.code != SYS_SECCOMP_CODE ||
        !tgi_arch_systrap->read_syscall(slot, &details, &base->syscall)) {
        details.error_number = SHARED_LOAD(slot->error_number);
        return signal_event(context, &details, (int)signo, event);
    }
    count(base->platform, COUNTER_UNPATCHED_CALLS);
    syscall_event(context, event);
    patches_note_call(context->bound, &base->syscall);
    return true;
}

/* What a worker can have left an event for; anything else a guest has put there. */
static bool is_possible_signal(uint32_t signo)
{
    static const uint8_t signals[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, INTERRUPT_KICK_SIGNAL};

    if (signo & PATCHED_CALL)
        return tgi_arch_patching;
    return memchr(signals, (int)signo, sizeof(signals)) != NULL;
}

void systrap_lost(struct systrap_context *context, struct tg_event *event)
{
    if (!subprocess_is_dead(&context->bound->base))
        systrap_subprocess_die(context->bound, TG_DEAD_CORRUPT, 0);
    context_place_regs(&context->base, REGS_BACKEND);
    systrap_event_dead(context, event);
}

bool systrap_collect(struct systrap_context *context, struct tg_event *event)
{
    struct tg_context *base = &context->base;
    struct systrap_slot *slot = context->slot;
    uint32_t signo = SHARED_LOAD(slot->signal);

    context_place_regs(base, REGS_BACKEND);
    context->held_by = signo & PATCHED_CALL ? signo & PATCHED_WORKER : HELD_BY_NONE;
    statistics_back(context);
    /* After the look at the slot. Pairs with slots_rescue(). */
    if (subprocess_is_shut(&context->bound->base)) {
        event_destroyed(context, event);
        return true;
    }
    if (signo == ANSWER_UNWRITTEN && systrap_attached_settle(context))
        return false;
    if (!is_possible_signal(signo)) {
        systrap_subprocess_die(context->bound, TG_DEAD_CORRUPT, 0);
        systrap_lost(context, event);
        return true;
    }
    if (signo == INTERRUPT_KICK_SIGNAL) {
        base->in_syscall = false;
        if (!interrupt_take(&base->interrupt))
            return false;
        systrap_event_interrupted(context, event);
        return true;
    }
    if (!read_event(context, slot, signo, event)) {
        /* A guest could give a reason again and again. */
        if (context->ran_on++ < RUNS_ON_MAX || !interrupt_take(&base->interrupt))
            return false;
        systrap_event_interrupted(context, event);
        return true;
    }
    if (interrupt_pending(&base->interrupt))
        event->flags |= TG_FLAG_INTERRUPT_PENDING;
    return true;
}
