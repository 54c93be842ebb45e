/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A stub process: made by a call inside another one, changed by calls inside it, killed and reaped for real. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory_calls.h"
#include "core/ptrace/clock_memory.h"
#include "core/ptrace/clock_page.h"
#include "core/ptrace/lazy_fp.h"
#include "core/ptrace/life.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/ptrace_subprocess.h"
#include "core/ptrace/queue_ends.h"
#include "core/ptrace/stub_clone.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/stub_wait.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_thread.h"
#include "core/subprocess_life.h"

#define SMALLEST_PAGE 4096
#define BATCH_MAX     (SMALLEST_PAGE / sizeof(struct stub_call)) /* what the batch page holds */

/* ---- life ---- */

int ptrace_subprocess_adopt(struct ptrace_subprocess *subprocess, pid_t pid)
{
    struct stub_thread *first;

    pthread_mutex_init(&subprocess->lock, NULL);
    pthread_mutex_init(&subprocess->memory_lock, NULL);
    list_init(&subprocess->threads);
    list_init(&subprocess->parked);
    subprocess->id = atomic_fetch_add(&ptrace_platform(subprocess->base.platform)->next_id, 1);
    atomic_store(&subprocess->base.pid, pid);
    first = stub_thread_new(subprocess, pid);
    if (!first)
        return -ENOMEM;
    list_add_last(&subprocess->threads, &first->of_subprocess);
    first->first = true;
    return 0;
}

static struct stub_thread *first_of(struct ptrace_subprocess *subprocess)
{
    return container_of(subprocess->threads.next, struct stub_thread, of_subprocess);
}

/*
 * Its tracer may reap it at any moment, and then the id may be a new child's:
 * so it is asked for as a thread of its process, which is reaped last.
 */
static bool try_reap(struct stub_thread *thread, pid_t process)
{
    int status;
    pid_t tid;

    if (!thread->first && syscall(SYS_tgkill, process, thread->tid, 0) && errno == ESRCH)
        return true;
    tid = waitpid(thread->tid, &status, __WALL | WNOHANG);
    /* Stops on the way are of no interest. */
    return tid < 0 ? errno != EINTR : tid > 0 && stub_status_is_death(status);
}

/*
 * A tracee can be waited for from any thread of its tracer's process. But not
 * asleep: when its tracer ends meanwhile, the kernel reaps the tracee in that
 * thread's name and wakes nobody who waits for it.
 */
static void reap_thread(struct stub_thread *thread, pid_t process)
{
    fp_forget_thread(thread);
    uncount(thread->subprocess->base.platform, COUNTER_STUB_THREADS);
    for (unsigned int i = 0; !atomic_load(&thread->reaped); i++) {
        if (try_reap(thread, process))
            stub_thread_reaped(thread);
        else
            clock_pause_between_looks(i);
    }
}

/* The first thread is the process: it can be reaped when all others are gone. */
static void reap(struct ptrace_subprocess *subprocess)
{
    struct stub_thread *first = first_of(subprocess);
    struct list *node;

    list_for_each(node, &subprocess->threads)
    {
        struct stub_thread *thread = container_of(node, struct stub_thread, of_subprocess);

        if (thread != first)
            reap_thread(thread, first->tid);
    }
    reap_thread(first, first->tid);
}

/* Everything that this process traces or has made in the group; returns when nothing is left. Was its leader there? */
static bool reap_group(pid_t group)
{
    bool leader = false;

    for (int i = 0;; i++) {
        int status;
        pid_t tid = waitpid(-group, &status, __WALL | WNOHANG);

        if (tid < 0 && errno != EINTR)
            return leader;
        if (tid == group && stub_status_is_death(status))
            leader = true;
        if (tid <= 0)
            clock_pause_between_looks(i);
    }
}

void ptrace_subprocess_destroy_group(struct ptrace_subprocess *leader, pid_t group)
{
    struct stub_thread *first = first_of(leader);
    struct list *node;

    ptrace_subprocess_die(leader, TG_DEAD_DESTROYED, 0);
    subprocess_shut(&leader->base);
    kill(-group, SIGKILL);
    if (reap_group(group))
        stub_thread_reaped(first);
    /* A leader that ended before it had a group of its own is still there, and made no other thread. */
    list_for_each(node, &leader->threads)
    {
        struct stub_thread *thread = container_of(node, struct stub_thread, of_subprocess);

        if (thread != first)
            stub_thread_reaped(thread);
    }
    reap(leader);
    subprocess_release(&leader->base);
}

void ptrace_subprocess_destroy(struct tg_subprocess *base)
{
    struct ptrace_subprocess *subprocess = to_ptrace_subprocess(base);

    tracer_save_fp(subprocess);
    ptrace_subprocess_die(subprocess, TG_DEAD_DESTROYED, 0);
    subprocess_shut(base);
    ptrace_queue_subprocess_dead(subprocess);
    subprocess_drain(base);
    reap(subprocess);
    subprocess_release(base);
}

void ptrace_subprocess_forget(struct tg_subprocess *base, bool last)
{
    (void)last;
    clock_memory_unmap(to_ptrace_subprocess(base));
}

/* ---- creation ---- */

static int create_failed(struct tg_platform *platform, const struct tg_subprocess *from, int err)
{
    /* ptrace(2) was refused, which has its sentence in tracer.c. */
    if (err == -EPERM)
        return err;
    return subprocess_create_failed(platform, from, "clone(2) in the stub: ", err);
}

/* clone(2) inside the stub; the child sets itself up and goes to the park loop without anybody's help. */
static int clone_process(struct tracer *tracer, struct ptrace_subprocess *from, struct tg_subprocess *child, pid_t *pid)
{
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);
    struct arch_stub_request request = {
        .job = ARCH_STUB_CLONE_PROCESS,
        .stub_start = pp->stub_start,
        .embedder_pid = (uint64_t)tracer->platform->embedder,
    };
    struct stub_thread *thread;
    tg_regs after;
    int err = tracer_acquire(tracer, from, NULL, &thread);

    if (err)
        return err;
    request.call.nr = tgi_arch.syscalls.clone;
    request.call.args[0] = STUB_CLONE_PROCESS_FLAGS;
    tgi_arch_ptrace->stub_add_cookie(&request.call, pp->cookie);
    placement_before_run(thread);
    pthread_mutex_lock(&from->memory_lock);
    err = mapping_table_copy(&child->mappings, &from->base.mappings);
    to_ptrace_subprocess(child)->batched = from->batched;
    if (!err)
        err = stub_thread_block_signals(thread);
    if (!err)
        err = stub_thread_inject(thread, &request, &after);
    /* There may be a child: who uses the thread next sees whether this has failed. */
    stub_thread_unblock_signals(thread);
    pthread_mutex_unlock(&from->memory_lock);
    tracer_release(thread);
    if (err)
        return err;
    *pid = (pid_t)tgi_arch_ptrace->stub_result(&after);
    return *pid < 0 ? *pid : 0;
}

/* Half of it does not fit: a process that can run nothing is no use to anybody. */
static void undo_create(struct ptrace_subprocess *subprocess)
{
    ptrace_subprocess_die(subprocess, TG_DEAD_DESTROYED, 0);
    reap(subprocess);
    ptrace_subprocess_empty(&subprocess->base);
}

static int make_usable(struct tracer *tracer, struct ptrace_subprocess *subprocess, const struct tg_subprocess *from)
{
    struct tg_platform *platform = tracer->platform;
    int err = tracer_make_runner(tracer, subprocess);

    if (err) {
        undo_create(subprocess);
        return create_failed(platform, from, err == -ESRCH ? -EIO : err);
    }
    err = clock_page_create(tracer, subprocess);
    if (err) {
        undo_create(subprocess);
        return clock_page_failed(platform, from, err);
    }
    return 0;
}

int ptrace_subprocess_create(struct tg_subprocess *base, struct tg_subprocess *from)
{
    struct tg_platform *platform = base->platform;
    struct ptrace_platform *pp = ptrace_platform(platform);
    struct ptrace_subprocess *mother = from ? to_ptrace_subprocess(from) : pp->template.subprocess;
    struct tracer *tracer = tracer_current(platform);
    pid_t pid = 0;
    int err;

    if (!tracer)
        return create_failed(platform, from, -ENOMEM);
    if (!subprocess_enter(&mother->base))
        return create_failed(platform, from, -ESRCH);
    err = clone_process(tracer, mother, base, &pid);
    subprocess_leave(&mother->base);
    if (err)
        return create_failed(platform, from, err);
    err = ptrace_subprocess_adopt(to_ptrace_subprocess(base), pid);
    if (err) {
        life_kill(pid);
        waitpid(pid, NULL, __WALL);
        ptrace_subprocess_empty(base);
        return create_failed(platform, from, err);
    }
    return make_usable(tracer, to_ptrace_subprocess(base), from);
}

/* ---- memory operations ---- */

static bool call_failed(int64_t result)
{
    return result < 0 && result >= -4095;
}

static int apply_one(struct stub_thread *thread, const struct tg_mem_op *op, size_t index, size_t *done)
{
    struct tg_subprocess *subprocess = &thread->subprocess->base;
    struct ptrace_platform *pp = ptrace_platform(subprocess->platform);
    struct arch_stub_request request = {.job = ARCH_STUB_CALL, .stub_start = pp->stub_start};
    tg_regs after;
    int err;

    memory_call_fill(&request.call, op);
    tgi_arch_ptrace->stub_add_cookie(&request.call, pp->cookie);
    err = stub_thread_inject(thread, &request, &after);
    if (err)
        return err;
    if (call_failed(tgi_arch_ptrace->stub_result(&after))) {
        memory_calls_made(subprocess, op, 0, tgi_arch_ptrace->stub_result(&after));
        return memory_call_failed(subprocess, op, index, tgi_arch_ptrace->stub_result(&after));
    }
    memory_calls_made(subprocess, op, 1, 0);
    (*done)++;
    return 0;
}

/* As many as the batch page holds, in one stop. */
static int apply_batch(struct stub_thread *thread, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    struct tg_subprocess *subprocess = &thread->subprocess->base;
    struct ptrace_platform *pp = ptrace_platform(subprocess->platform);
    const struct arch_stub_request request = {
        .job = ARCH_STUB_BATCH,
        .stub_start = pp->stub_start,
        .cookie = pp->cookie,
        .batch = pp->batch,
        .batch_count = n,
    };
    struct stub_call calls[BATCH_MAX];
    tg_regs after;
    uint64_t left;
    int err;

    for (size_t i = 0; i < n; i++)
        memory_call_fill(&calls[i], &ops[i]);
    if (thread->subprocess->batched < n)
        thread->subprocess->batched = n;
    err = stub_thread_poke(thread, pp->batch, (const uint64_t *)calls, n * (sizeof(calls[0]) / sizeof(uint64_t)));
    if (!err)
        err = stub_thread_inject(thread, &request, &after);
    if (err)
        return err;
    left = tgi_arch_ptrace->stub_batch_left(&after);
    if (left > n) {
        ptrace_subprocess_die(thread->subprocess, TG_DEAD_CORRUPT, 0);
        return -ESRCH;
    }
    memory_calls_made(subprocess, ops, n - left, left ? tgi_arch_ptrace->stub_result(&after) : 0);
    *done += n - left;
    return left ? memory_call_failed(subprocess, &ops[n - left], *done, tgi_arch_ptrace->stub_result(&after)) : 0;
}

static int apply_all(struct stub_thread *thread, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    struct ptrace_subprocess *subprocess = thread->subprocess;
    int err;

    pthread_mutex_lock(&subprocess->memory_lock);
    err = memory_calls_prepare(&subprocess->base, n);
    if (!err && n == 1)
        err = apply_one(thread, ops, 0, done);
    while (*done < n && !err) {
        size_t part = n - *done < BATCH_MAX ? n - *done : BATCH_MAX;

        err = apply_batch(thread, ops + *done, part, done);
    }
    pthread_mutex_unlock(&subprocess->memory_lock);
    return err;
}

static int operation_failed(struct ptrace_subprocess *subprocess)
{
    const struct tg_subprocess *base = &subprocess->base;

    return platform_fail(base->platform, -ESRCH, "memory operation: the stub process is dead%s",
                         subprocess_is_dead(base) ? subprocess_death_cause(base->death_reason, base->death_status)
                                                  : "");
}

int ptrace_subprocess_apply(struct tg_subprocess *base, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    struct tg_platform *platform = base->platform;
    struct tracer *tracer = tracer_current(platform);
    struct stub_thread *thread;
    int err;

    if (!tracer)
        return platform_fail(platform, -ENOMEM, "memory operation: no memory");
    err = tracer_acquire(tracer, to_ptrace_subprocess(base), NULL, &thread);
    if (!err) {
        placement_before_run(thread);
        err = apply_all(thread, ops, n, done);
        tracer_release(thread);
    }
    if (err == -ESRCH)
        return operation_failed(to_ptrace_subprocess(base));
    return err;
}

/* ---- emptying ---- */

/* What the last guest's operations have left in the batch page, which guests can read, behind those that emptied it. */
static int clear_batch(struct stub_thread *thread, size_t from)
{
    static const struct stub_call none[BATCH_MAX];
    struct ptrace_subprocess *subprocess = thread->subprocess;
    const uint64_t start = ptrace_platform(subprocess->base.platform)->batch + from * sizeof(none[0]);
    int err = 0;

    pthread_mutex_lock(&subprocess->memory_lock);
    if (subprocess->batched > from)
        err = stub_thread_poke(thread, start, (const uint64_t *)none,
                               (subprocess->batched - from) * (sizeof(none[0]) / sizeof(uint64_t)));
    if (!err)
        subprocess->batched = from;
    pthread_mutex_unlock(&subprocess->memory_lock);
    return err;
}

static int empty_by(struct stub_thread *thread, const struct tg_mem_op *unmaps, size_t n)
{
    size_t done = 0;
    int err;

    placement_before_run(thread);
    err = apply_all(thread, unmaps, n, &done);
    return err ? err : clear_batch(thread, n);
}

/* Registers and FP state of a thread are those of the context that it runs next. */
int ptrace_subprocess_reset(struct tg_subprocess *base, const struct tg_mem_op *unmaps, size_t n)
{
    struct ptrace_subprocess *subprocess = to_ptrace_subprocess(base);
    struct tracer *tracer = tracer_current(base->platform);
    struct stub_thread *thread;
    int err = tracer ? tracer_acquire(tracer, subprocess, NULL, &thread) : -ENOMEM;

    if (err)
        return err;
    err = empty_by(thread, unmaps, n);
    tracer_release(thread);
    if (err)
        ptrace_subprocess_die(subprocess, TG_DEAD_DESTROYED, 0);
    return err;
}
