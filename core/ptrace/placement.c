/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where stub threads run. A switch is a conversation of two threads that never
 * run at the same time; when they share a processor it costs a fifth of what
 * waking another processor costs. So a stub thread is placed on its tracer's
 * processor, and the tracer gives way with sched_yield(2) rather than sleep:
 * it stays runnable, so the scheduler has no wake-up for which to choose an
 * idle processor. A tracer that gets the processor back before its tracee has
 * stopped knows that the guest computes: it sets the stub thread free to go to
 * another processor, and sleeps.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "core/ptrace/life.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/stub_wait.h"

#define YIELD_NS         50000  /* when nothing has stopped by then, guests compute */
#define SHORT_RUN_NS     200000 /* a run that free threads may take and still count as short */
#define YIELD_MISSES_MAX 8      /* so many waits in a row yielded in vain, and yielding is given up ... */
#define YIELD_PAUSE      64     /* ... for that many waits; then one more is tried */

static bool set_affinity(struct stub_thread *thread, const cpu_set_t *cpus)
{
    struct ptrace_platform *pp = ptrace_platform(thread->subprocess->base.platform);

    if (!sched_setaffinity(thread->tid, sizeof(*cpus), cpus))
        return true;
    /* Not allowed, or the cpuset has changed. A dying thread is no reason to give up. */
    if (errno != ESRCH)
        atomic_store(&pp->placement, false);
    return false;
}

void placement_before_run(struct stub_thread *thread)
{
    struct tg_platform *platform = thread->subprocess->base.platform;
    cpu_set_t here;
    int cpu;

    if (!atomic_load_explicit(&ptrace_platform(platform)->placement, memory_order_relaxed) || thread->long_run)
        return;
    cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == thread->cpu)
        return;
    CPU_ZERO(&here);
    CPU_SET((size_t)cpu, &here);
    if (set_affinity(thread, &here)) {
        thread->cpu = cpu;
        count(platform, COUNTER_PLACEMENTS);
    }
}

void placement_set_free(struct stub_thread *thread)
{
    struct tg_platform *platform = thread->subprocess->base.platform;

    if (thread->cpu < 0)
        return;
    set_affinity(thread, &ptrace_platform(platform)->allowed_cpus);
    thread->cpu = -1;
    count(platform, COUNTER_RELEASES);
}

/*
 * Yielding is pointless where the scheduler does not give the processor to the
 * tracee, e.g. for a real-time tracer. yield_misses counts the waits that
 * yielded in vain up to YIELD_MISSES_MAX, and from there on those of the pause.
 */
static bool yielding_pauses(const struct tracer *tracer)
{
    return tracer->yield_misses >= YIELD_MISSES_MAX;
}

static void count_pause(struct tracer *tracer)
{
    if (++tracer->yield_misses == YIELD_MISSES_MAX + YIELD_PAUSE)
        tracer->yield_misses = YIELD_MISSES_MAX - 1;
}

bool placement_yield(struct tracer *tracer, int64_t started_ns)
{
    if (yielding_pauses(tracer)) {
        count_pause(tracer);
        return false;
    }
    if (clock_monotonic_ns() - started_ns > YIELD_NS)
        return false;
    sched_yield();
    return true;
}

void placement_note_run(struct stub_thread *thread, int64_t started_ns)
{
    if (thread->long_run)
        thread->long_run = clock_monotonic_ns() - started_ns >= SHORT_RUN_NS;
}

/* The first yield usually does it, without a look at the clock. */
static pid_t wait_yielding(struct stub_thread *thread, int *status)
{
    struct tracer *tracer = atomic_load(&thread->tracer);
    int64_t started;
    pid_t tid;

    if (!yielding_pauses(tracer)) {
        sched_yield();
        tid = stub_thread_wait_stop(thread, status, WNOHANG);
        if (tid) {
            tracer->yield_misses = 0;
            return tid;
        }
    }
    started = clock_monotonic_ns();
    while (placement_yield(tracer, started)) {
        tid = stub_thread_wait_stop(thread, status, WNOHANG);
        if (tid) {
            tracer->yield_misses = 0;
            return tid;
        }
    }
    return 0;
}

/* Asleep until it stops. Returning soon means that it was no computing guest. */
static pid_t wait_sleeping(struct stub_thread *thread, int *status, bool yielded)
{
    int64_t started = clock_monotonic_ns();
    pid_t tid = stub_thread_wait_stop(thread, status, 0);

    thread->long_run = clock_monotonic_ns() - started >= SHORT_RUN_NS;
    if (yielded && !thread->long_run)
        atomic_load(&thread->tracer)->yield_misses++;
    return tid;
}

int placement_wait(struct stub_thread *thread, int *status)
{
    bool placed = thread->cpu >= 0;
    bool yields = placed && !yielding_pauses(atomic_load(&thread->tracer));
    pid_t tid = 0;

    if (thread->first) {
        tid = stub_thread_wait_first(thread, status);
        if (tid <= 0) {
            ptrace_subprocess_die(thread->subprocess, TG_DEAD_KILLED, SIGKILL);
            return -ESRCH;
        }
    } else if (placed) {
        tid = wait_yielding(thread, status);
    }
    if (!tid) {
        placement_set_free(thread);
        tid = wait_sleeping(thread, status, yields);
    }
    /* Somebody else in this process has reaped it: only destroy does that, and only dead ones. */
    if (tid < 0)
        *status = SIGKILL;
    return 0;
}
