/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * wait4(2) takes no time limit and no descriptor, so what wakes a tracer must
 * be a tracee. The bell is one: a stub thread of the template, which no guest
 * runs in, that sleeps. Signalling it stops it, which the tracer's wait
 * returns; for a time limit it sleeps that long and then traps.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/ptrace/bell.h"
#include "core/ptrace/placement.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/stub_wait.h"
#include "core/ptrace/tracer.h"

#define LIMIT_SIZE (2 * sizeof(uint64_t)) /* a struct timespec */

static struct ptrace_subprocess *template_of(const struct tg_platform *platform)
{
    return ptrace_platform(platform)->template.subprocess;
}

void bell_signal(const struct tg_platform *platform, pid_t bell)
{
    int saved_errno = errno;

    syscall(SYS_tgkill, ptrace_platform(platform)->template.group, bell, INTERRUPT_KICK_SIGNAL);
    errno = saved_errno;
}

/* A place in the template's batch page for the time that this bell sleeps. */
static int take_limit(struct ptrace_platform *pp)
{
    int place = 0;

    pthread_mutex_lock(&pp->bell_lock);
    for (int i = 1; i <= BELL_LIMITS && !place; i++) {
        if (!pp->bell_limits[i])
            place = i;
    }
    if (place)
        pp->bell_limits[place] = true;
    pthread_mutex_unlock(&pp->bell_lock);
    return place;
}

int bell_prepare(struct tracer *tracer)
{
    struct bell *bell = &tracer->bell;
    int err;

    if (bell->thread)
        return atomic_load(&bell->thread->reaped) ? -EIO : 0;
    err = tracer_acquire(tracer, template_of(tracer->platform), NULL, &bell->thread);
    if (err) {
        bell->thread = NULL;
        return err == -ESRCH ? -EIO : err;
    }
    placement_set_free(bell->thread);
    bell->limit = (uint32_t)take_limit(ptrace_platform(tracer->platform));
    bell->asleep = false;
    return 0;
}

/* Zero address: sleep for ever. */
static int sleep_until(struct tracer *tracer, int64_t until_ns)
{
    struct bell *bell = &tracer->bell;
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);
    struct arch_stub_request request = {.job = ARCH_STUB_SLEEP, .stub_start = pp->stub_start};
    tg_regs regs;
    int err = 0;

    if (until_ns != INT64_MAX) {
        int64_t left = until_ns - clock_monotonic_ns();
        uint64_t time[2] = {0, 0};

        if (!bell->limit)
            return -EAGAIN;
        if (left > 0) {
            time[0] = (uint64_t)(left / NS_PER_SECOND);
            time[1] = (uint64_t)(left % NS_PER_SECOND);
        }
        request.batch = pp->batch + (bell->limit - 1) * LIMIT_SIZE;
        err = stub_thread_poke(bell->thread, request.batch, time, 2);
    }
    tgi_arch_ptrace->stub_request(&regs, &request);
    if (!err)
        err = stub_thread_set_regs(bell->thread, &regs);
    if (!err)
        err = stub_thread_continue(bell->thread);
    if (err)
        return err == -ESRCH ? -EIO : err;
    bell->asleep = true;
    bell->until_ns = until_ns;
    return 0;
}

int bell_arm(struct tracer *tracer, int64_t until_ns)
{
    struct bell *bell = &tracer->bell;
    int status;
    int err;

    if (bell->asleep && bell->until_ns <= until_ns)
        return 0;
    if (bell->asleep) {
        err = stub_thread_stop(bell->thread, &status);
        if (err)
            return err == -ESRCH ? -EIO : err;
        bell->asleep = false;
        /* Somebody has signalled it since it was shown. */
        if (status >> 16 == 0 && WSTOPSIG(status) == INTERRUPT_KICK_SIGNAL)
            return -EAGAIN;
    }
    return sleep_until(tracer, until_ns);
}

void bell_stopped(struct tracer *tracer, int status)
{
    tracer->bell.asleep = false;
    if (stub_status_is_death(status))
        stub_thread_died(tracer->bell.thread, status);
}

void bell_close(struct tracer *tracer)
{
    struct bell *bell = &tracer->bell;
    struct ptrace_platform *pp = ptrace_platform(tracer->platform);
    int status;

    if (!bell->thread)
        return;
    if (bell->asleep && !atomic_load(&bell->thread->reaped))
        stub_thread_stop(bell->thread, &status);
    tracer_release(bell->thread);
    bell->thread = NULL;
    if (bell->limit) {
        pthread_mutex_lock(&pp->bell_lock);
        pp->bell_limits[bell->limit] = false;
        pthread_mutex_unlock(&pp->bell_lock);
    }
}
