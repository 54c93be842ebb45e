/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One traced thread of a stub: every ptrace(2) request that the library makes is here. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/ptrace/guest_memory.h"
#include "core/ptrace/life.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/stub_wait.h"
#include "core/stub_process.h"

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU            31
#define PTRACE_SYSEMU_SINGLESTEP 32
#endif
#define TRACE_OPTIONS    (PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)
#define NO_CALL          (-1)
#define WRITE_AT_ONCE    16                   /* words from which on opening the file costs less than writing each */
#define START_NS         (60 * NS_PER_SECOND) /* a busy machine may keep a stub from its processor for half of that */
#define DOUBLINGS_MAX    12
#define LONGEST_PAUSE_NS (NS_PER_SECOND / 5)
#define STRANGER_NS      NS_PER_SECOND

struct stub_thread *stub_thread_new(struct ptrace_subprocess *subprocess, pid_t tid)
{
    struct stub_thread *thread = calloc(1, sizeof(*thread));

    if (!thread)
        return NULL;
    thread->subprocess = subprocess;
    thread->tid = tid;
    thread->cpu = -1;
    list_init(&thread->of_subprocess);
    list_init(&thread->waiting);
    list_init(&thread->of_tid);
    count(subprocess->base.platform, COUNTER_STUB_THREADS);
    return thread;
}

/* The kernel does not know the tracee any more, or not as a stopped one: it dies. Wait for that. */
static int lost(struct stub_thread *thread)
{
    pid_t pid = atomic_load(&thread->subprocess->base.pid);
    int status;

    if (!platform_is_ours(thread->subprocess->base.platform))
        return -EPERM;
    if (pid > 0)
        life_kill(pid);
    for (;;) {
        pid_t tid = stub_thread_wait(thread, &status);

        if (tid <= 0 && thread->first) {
            ptrace_subprocess_die(thread->subprocess, TG_DEAD_KILLED, SIGKILL);
            return -ESRCH;
        }
        if (tid < 0) {
            stub_thread_reaped(thread);
            ptrace_subprocess_die(thread->subprocess, TG_DEAD_KILLED, SIGKILL);
            return -ESRCH;
        }
        if (stub_status_is_death(status)) {
            stub_thread_died(thread, status);
            return -ESRCH;
        }
    }
}

static int result(struct stub_thread *thread, long returned)
{
    if (returned >= 0)
        return 0;
    return errno == ESRCH ? lost(thread) : -errno;
}

static int transfer(struct stub_thread *thread, enum __ptrace_request request, uint32_t note, void *data, size_t size)
{
    struct iovec iov = {.iov_base = data, .iov_len = size};

    return result(thread, ptrace(request, thread->tid, (void *)(uintptr_t)note, &iov));
}

static int transfer_general(struct stub_thread *thread, enum __ptrace_request request, void *image)
{
#ifdef PT_GETREGS
    request = request == PTRACE_GETREGSET ? PT_GETREGS : PT_SETREGS;
    return result(thread, ptrace(request, thread->tid, NULL, image));
#else
    (void)thread, (void)request, (void)image;
    return -EINVAL;
#endif
}

static int transfer_regs(struct stub_thread *thread, enum __ptrace_request request, tg_regs *regs)
{
    for (uint32_t i = 0; i < tgi_arch_ptrace->regset_count; i++) {
        const struct arch_regset *set = &tgi_arch_ptrace->regsets[i];
        char *image = (char *)regs + set->offset;
        int err = set->note == ARCH_REGSET_GENERAL ? transfer_general(thread, request, image)
                                                   : transfer(thread, request, set->note, image, set->size);

        if (err)
            return err;
    }
    return 0;
}

int stub_thread_get_regs(struct stub_thread *thread, tg_regs *regs)
{
    regs->size = sizeof(*regs);
    regs->arch = tgi_arch.audit_arch;
    return transfer_regs(thread, PTRACE_GETREGSET, regs);
}

int stub_thread_set_regs(struct stub_thread *thread, const tg_regs *regs)
{
    return transfer_regs(thread, PTRACE_SETREGSET, (tg_regs *)(uintptr_t)regs);
}

int stub_thread_get_fp(struct stub_thread *thread, void *image, size_t size)
{
    return transfer(thread, PTRACE_GETREGSET, tgi_arch_ptrace->fp_note, image, size);
}

int stub_thread_set_fp(struct stub_thread *thread, const void *image, size_t size)
{
    return transfer(thread, PTRACE_SETREGSET, tgi_arch_ptrace->fp_note, (void *)(uintptr_t)image, size);
}

int stub_thread_fp_size(struct stub_thread *thread, void *image, size_t capacity, size_t *size)
{
    struct iovec iov = {.iov_base = image, .iov_len = capacity};
    long got = ptrace(PTRACE_GETREGSET, thread->tid, (void *)(uintptr_t)tgi_arch_ptrace->fp_note, &iov);

    *size = iov.iov_len;
    return result(thread, got);
}

/* Does the stub's filter stop calls, rather than PTRACE_SYSEMU? */
static bool filter_stops_calls(void)
{
    return tgi_arch_ptrace->call_note;
}

static int note_stop(struct stub_thread *thread, int status)
{
    if (!stub_status_is_death(status))
        return 0;
    stub_thread_died(thread, status);
    return -ESRCH;
}

static int wait_for_stop(struct stub_thread *thread, int *status)
{
    return stub_thread_wait(thread, status) > 0 ? note_stop(thread, *status) : lost(thread);
}

static int resume(struct stub_thread *thread, enum __ptrace_request request)
{
    thread->at_call = false;
    return result(thread, ptrace(request, thread->tid, NULL, NULL));
}

/* To a stop before the next instruction, which comes before any signal: the way out of a call would count as a step. */
static int leave_call(struct stub_thread *thread)
{
    int status;
    int err = result(thread, ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL));

    if (!err)
        err = resume(thread, PTRACE_CONT);
    return err ? err : wait_for_stop(thread, &status);
}

static int resume_by_filter(struct stub_thread *thread, bool single_step)
{
    int err = single_step && thread->at_call ? leave_call(thread) : 0;

    return err ? err : resume(thread, single_step ? PTRACE_SINGLESTEP : PTRACE_CONT);
}

int stub_thread_resume_guest(struct stub_thread *thread, bool single_step)
{
    if (filter_stops_calls())
        return resume_by_filter(thread, single_step);
    return resume(thread, single_step ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU);
}

int stub_thread_siginfo(struct stub_thread *thread, siginfo_t *info)
{
    return result(thread, ptrace(PTRACE_GETSIGINFO, thread->tid, NULL, info));
}

/* From here on nothing that resumes the thread can let the kernel make the call. */
static int skip_call(struct stub_thread *thread)
{
    int number = NO_CALL;

    thread->at_call = true;
    return transfer(thread, PTRACE_SETREGSET, tgi_arch_ptrace->call_note, &number, sizeof(number));
}

/* What is told of a call begins the same way for both kinds of stops. */
int stub_thread_syscall(struct stub_thread *thread, struct arch_syscall *out)
{
    const uint8_t op = filter_stops_calls() ? PTRACE_SYSCALL_INFO_SECCOMP : PTRACE_SYSCALL_INFO_ENTRY;
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, (void *)sizeof(info), &info);

    if (size < 0)
        return result(thread, size);
    if (info.op != op)
        return -EIO;
    out->nr = info.entry.nr;
    memcpy(out->args, info.entry.args, sizeof(out->args));
    out->ip = info.instruction_pointer;
    out->arch = info.arch;
    tgi_arch_ptrace->syscall_entered(out);
    return filter_stops_calls() ? skip_call(thread) : 0;
}

int stub_thread_continue(struct stub_thread *thread)
{
    return resume(thread, PTRACE_CONT);
}

/*
 * One that has stopped by itself is not interrupted as well: the kernel keeps
 * an interrupt that meets a stop, and stops the thread again before the first
 * instruction after it. Who only ever interrupts it would meet that stop with
 * the next interrupt, and the thread would never go on.
 */
int stub_thread_stop(struct stub_thread *thread, int *status)
{
    int err;

    if (stub_thread_wait_stop(thread, status, WNOHANG) > 0)
        return note_stop(thread, *status);
    err = result(thread, ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL));
    return err ? err : wait_for_stop(thread, status);
}

/* In one go, where writing through /proc is allowed; a write there passes the page's protection. */
static bool write_at_once(struct stub_thread *thread, uint64_t addr, const uint64_t *words, size_t n)
{
    int fd = guest_memory_open(thread->tid, O_WRONLY);
    bool written;

    if (fd < 0)
        return false;
    written = pwrite(fd, words, n * sizeof(*words), (off_t)addr) == (ssize_t)(n * sizeof(*words));
    close(fd);
    return written;
}

int stub_thread_poke(struct stub_thread *thread, uint64_t addr, const uint64_t *words, size_t n)
{
    if (n > WRITE_AT_ONCE && write_at_once(thread, addr, words, n))
        return 0;

    for (size_t i = 0; i < n; i++) {
        int err = result(thread, ptrace(PTRACE_POKEDATA, thread->tid, (void *)(uintptr_t)(addr + i * sizeof(*words)),
                                        (void *)(uintptr_t)words[i]));

        if (err)
            return err;
    }
    return 0;
}

/*
 * Each look stops the thread: one that waits for a processor for longer than a
 * pause takes would meet the stop as soon as it got one, and never get on. So
 * pauses become longer.
 */
static void let_run(unsigned int looks)
{
    const unsigned int doublings = looks < LOOKS_YIELDING ? 0 : looks - LOOKS_YIELDING;

    if (looks < LOOKS_YIELDING)
        sched_yield();
    else
        clock_pause(doublings < DOUBLINGS_MAX ? (int64_t)LOOK_PAUSE_NS << doublings : LONGEST_PAUSE_NS);
}

/* A new stub is still on its way to the park loop when it is first attached to: let it get there. */
static int stop_in_park(struct stub_thread *thread, uint64_t stub_start)
{
    int64_t until = clock_monotonic_ns() + START_NS;

    for (unsigned int i = 0; i < LOOKS_YIELDING || clock_monotonic_ns() < until; i++) {
        tg_regs regs;
        int status;
        int err = stub_thread_stop(thread, &status);

        if (!err)
            err = stub_thread_get_regs(thread, &regs);
        if (err)
            return err;
        if (tgi_arch_ptrace->stub_place(&regs, stub_start) == ARCH_STUB_PARKED)
            return 0;
        err = stub_thread_continue(thread);
        if (err)
            return err;
        let_run(i);
    }
    ptrace_subprocess_die(thread->subprocess, TG_DEAD_CORRUPT, 0);
    return lost(thread);
}

/* A thread that refuses something while it is traced is not to be trusted, and its process goes. */
static int give_up(struct stub_thread *thread, int err)
{
    if (err == -ESRCH)
        return err;
    ptrace_subprocess_die(thread->subprocess, TG_DEAD_CORRUPT, 0);
    lost(thread);
    return err;
}

static int seize_failed(struct stub_thread *thread, int error)
{
    if (error != ESRCH && !stub_thread_is_dead(thread))
        return -error;
    ptrace_subprocess_die(thread->subprocess, TG_DEAD_KILLED, SIGKILL);
    return -ESRCH;
}

/*
 * A thread that nobody traces vanishes with its process, and its id may then
 * be a stranger's. The first thread is different: it is the process, a child
 * that nobody has reaped, so its id is safe to ask by. A host that refuses to say
 * is taken for a yes. subprocess->lock is held.
 */
static bool is_still_there(const struct stub_thread *thread)
{
    const struct stub_thread *first = container_of(thread->subprocess->threads.next, struct stub_thread, of_subprocess);

    if (atomic_load(&first->reaped))
        return false;
    return thread->first || !syscall(SYS_tgkill, first->tid, thread->tid, 0) || errno != ESRCH;
}

/* Letting go of a tracee needs a stop. One that does not stop in time is let go when this thread ends. */
static void let_stranger_go(pid_t tid)
{
    int64_t until = clock_monotonic_ns() + STRANGER_NS;
    int status;

    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    while (clock_monotonic_ns() < until) {
        pid_t stopped = waitpid(tid, &status, WNOHANG | __WALL | __WNOTHREAD);

        if (stopped > 0 && WIFSTOPPED(status))
            ptrace(PTRACE_DETACH, tid, NULL, (void *)(uintptr_t)(status >> 16 ? 0 : WSTOPSIG(status)));
        if (stopped)
            return;
        clock_pause(LOOK_PAUSE_NS);
    }
}

/* No options before it is known who it is: one of them kills. */
static int seize(struct stub_thread *thread)
{
    if (!is_still_there(thread))
        return seize_failed(thread, ESRCH);
    if (ptrace(PTRACE_SEIZE, thread->tid, NULL, NULL))
        return seize_failed(thread, errno);
    if (is_still_there(thread))
        return 0;
    let_stranger_go(thread->tid);
    return seize_failed(thread, ESRCH);
}

static int set_signal_mask(struct stub_thread *thread, uint64_t blocked)
{
    return result(thread, ptrace(PTRACE_SETSIGMASK, thread->tid, (void *)sizeof(blocked), &blocked));
}

int stub_thread_block_signals(struct stub_thread *thread)
{
    return set_signal_mask(thread, ~UINT64_C(0));
}

int stub_thread_unblock_signals(struct stub_thread *thread)
{
    int err = set_signal_mask(thread, ~(STUB_SIGNALS_OF_GUESTS | STUB_SIGNAL_BIT(INTERRUPT_KICK_SIGNAL)));

    return err ? give_up(thread, err) : 0;
}

static uintptr_t trace_options(void)
{
    return filter_stops_calls() ? TRACE_OPTIONS | PTRACE_O_TRACESECCOMP : TRACE_OPTIONS;
}

int stub_thread_attach(struct tracer *tracer, struct stub_thread *thread)
{
    int err = seize(thread);

    if (err)
        return err;
    atomic_store(&thread->tracer, tracer);
    thread->fp_version = 0;
    thread->long_run = false;
    thread->at_call = false;
    err = stop_in_park(thread, ptrace_platform(tracer->platform)->stub_start);
    if (!err)
        err = result(thread, ptrace(PTRACE_SETOPTIONS, thread->tid, NULL, (void *)trace_options()));
    return err ? give_up(thread, err) : 0;
}

int stub_thread_try_call(struct stub_thread *thread)
{
    const struct arch_stub_request request = {
        .job = ARCH_STUB_CALL,
        .stub_start = ptrace_platform(thread->subprocess->base.platform)->stub_start,
        .call = {.nr = tgi_arch.syscalls.getpid},
    };
    struct arch_syscall syscall;
    tg_regs regs;
    int status = 0;
    int err;

    tgi_arch_ptrace->stub_request(&regs, &request);
    err = stub_thread_set_regs(thread, &regs);
    while (!err) {
        err = stub_thread_resume_guest(thread, false);
        if (!err)
            err = wait_for_stop(thread, &status);
        if (!err && stub_status_is_call(status))
            return stub_thread_syscall(thread, &syscall);
    }
    return err;
}

int stub_thread_park(struct stub_thread *thread)
{
    const struct arch_stub_request request = {
        .job = ARCH_STUB_PARK,
        .stub_start = ptrace_platform(thread->subprocess->base.platform)->stub_start,
    };
    tg_regs regs;
    int err;

    tgi_arch_ptrace->stub_request(&regs, &request);
    err = stub_thread_set_regs(thread, &regs);
    if (!err)
        err = stub_thread_block_signals(thread);
    if (!err)
        err = result(thread, ptrace(PTRACE_DETACH, thread->tid, NULL, NULL));
    atomic_store(&thread->tracer, NULL);
    return err ? give_up(thread, err) : 0;
}

int stub_thread_inject(struct stub_thread *thread, const struct arch_stub_request *request, tg_regs *after)
{
    int status;
    int err;

    count(thread->subprocess->base.platform, COUNTER_INJECTIONS);
    tgi_arch_ptrace->stub_request(after, request);
    err = stub_thread_set_regs(thread, after);
    while (!err) {
        err = stub_thread_continue(thread);
        if (!err)
            err = placement_wait(thread, &status);
        if (err)
            break;
        if (stub_status_is_death(status)) {
            stub_thread_died(thread, status);
            return -ESRCH;
        }
        /* The filter refuses what it was told to let pass: nothing here may let the kernel make a call that it stops.
         */
        if (stub_status_is_call(status))
            return give_up(thread, -EIO);
        /* Other stops are signals from outside: dropped, and the kernel restarts what they interrupted. */
        if (WSTOPSIG(status) != SIGTRAP || status >> 16)
            continue;
        err = stub_thread_get_regs(thread, after);
        if (!err && tgi_arch_ptrace->stub_place(after, request->stub_start) == ARCH_STUB_FINISHED)
            break;
    }
    return err;
}
