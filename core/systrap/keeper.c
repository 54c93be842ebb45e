/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The keeper: a thread that is the parent of all stubs of a platform, because
 * PR_SET_PDEATHSIG is about the parent thread, and that sleeps until one of
 * them dies. Whoever waits for that one is woken then; it stays a zombie until
 * its subprocess is destroyed (child.h).
 */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/descriptors.h"
#include "core/futex.h"
#include "core/quiet_thread.h"
#include "core/subprocess_life.h"
#include "core/systrap/child.h"
#include "core/systrap/death.h"
#include "core/systrap/keeper.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/watchdog.h"

#define STOP_ID        0                     /* no subprocess has it */
#define LOOK_NS        (NS_PER_SECOND / 100) /* where the host refuses to wait for deaths */
#define STRANGER_NS    NS_PER_SECOND         /* a stub without a mother only has to see that it is to end */
#define STRANGER_PAUSE 1000000

struct start {
    struct systrap_platform *sp;
    int (*make)(void *arg);
    void *arg;
    int result;
    _Atomic uint32_t done;
};

/* A process that the embedder has forked may have a copy of the pidfd, so closing it would not take it out of epoll. */
static void forget(struct systrap_platform *sp, struct systrap_subprocess *subprocess)
{
    list_remove(&subprocess->kept);
    if (subprocess->pidfd >= 0) {
        epoll_ctl(sp->keeper_epoll, EPOLL_CTL_DEL, subprocess->pidfd, NULL);
        close(subprocess->pidfd);
    }
    subprocess->pidfd = -1;
}

/* keeper_lock is held. */
static void bury(struct systrap_platform *sp, struct systrap_subprocess *subprocess)
{
    child_reap(subprocess);
    forget(sp, subprocess);
}

/* keeper_lock is held. A process is not dead while some of its threads still end; its pidfd stays readable. */
static void look_at(struct systrap_platform *sp, struct systrap_subprocess *subprocess)
{
    int32_t reason;
    int32_t status;

    if (child_look(subprocess, &reason, &status) == CHILD_LIVES)
        return;
    /* The subprocess was destroyed while its process had not ended yet. */
    if (subprocess->left_behind) {
        bury(sp, subprocess);
        subprocess_release(&subprocess->base);
        return;
    }
    epoll_ctl(sp->keeper_epoll, EPOLL_CTL_DEL, subprocess->pidfd, NULL);
    systrap_subprocess_die(subprocess, reason, status);
}

static void notice_death(struct systrap_platform *sp, uint64_t id)
{
    struct list *node;

    pthread_mutex_lock(&sp->keeper_lock);
    list_for_each(node, &sp->kept)
    {
        struct systrap_subprocess *subprocess = container_of(node, struct systrap_subprocess, kept);

        if (subprocess->id == id) {
            look_at(sp, subprocess);
            break;
        }
    }
    pthread_mutex_unlock(&sp->keeper_lock);
}

/* epoll_wait(2) does not work, for a filter of the embedder's forbids it: looks at all of them by the clock. */
static void look_at_all(struct systrap_platform *sp)
{
    struct list *node;
    struct list *after;

    clock_pause(LOOK_NS);
    pthread_mutex_lock(&sp->keeper_lock);
    list_for_each_safe(node, after, &sp->kept) look_at(sp, container_of(node, struct systrap_subprocess, kept));
    pthread_mutex_unlock(&sp->keeper_lock);
}

static void *keeper_main(void *arg)
{
    struct start *start = arg;
    struct systrap_platform *sp = start->sp;
    struct epoll_event event;

    start->result = start->make(start->arg);
    atomic_store(&start->done, 1);
    futex_wake_all(&start->done);
    /* `start` is on the opener's stack, and gone from here on. */
    while (!atomic_load(&sp->stopping)) {
        int found = epoll_wait(sp->keeper_epoll, &event, 1, -1);

        if (found == 1 && event.data.u64 != STOP_ID)
            notice_death(sp, event.data.u64);
        else if (found < 0 && errno != EINTR)
            look_at_all(sp);
    }
    return NULL;
}

static int create_descriptors(struct systrap_platform *sp, struct open_report *report)
{
    static const char step[] = "watch over stub processes";
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_ID};

    sp->keeper_epoll = descriptor_epoll();
    sp->stop = descriptor_eventfd(0);
    if (sp->keeper_epoll < 0)
        return open_report_call(report, step, "epoll_create1(2)", sp->keeper_epoll);
    if (sp->stop < 0)
        return open_report_call(report, step, "eventfd2(2)", sp->stop);
    if (epoll_ctl(sp->keeper_epoll, EPOLL_CTL_ADD, sp->stop, &event))
        return open_report_call(report, step, "epoll_ctl(2)", -errno);
    return 0;
}

static void close_descriptors(struct systrap_platform *sp)
{
    if (sp->keeper_epoll >= 0)
        close(sp->keeper_epoll);
    if (sp->stop >= 0)
        close(sp->stop);
    sp->keeper_epoll = -1;
    sp->stop = -1;
}

void keeper_close_copies(struct systrap_platform *sp)
{
    close_descriptors(sp);
}

int keeper_start(struct systrap_platform *sp, int (*make)(void *arg), void *arg, struct open_report *report)
{
    struct start start = {.sp = sp, .make = make, .arg = arg};
    int err = create_descriptors(sp, report);

    atomic_store(&sp->stopping, false);
    if (!err) {
        err = quiet_thread_create(&sp->keeper, keeper_main, &start);
        err = err ? open_report_thread(report, err) : 0;
    }
    if (err) {
        close_descriptors(sp);
        return err;
    }
    sp->keeper_runs = true;
    while (!atomic_load(&start.done))
        futex_wait(&start.done, 0);
    return start.result ? open_report_call(report, "start the stub process", "clone(2)", start.result) : 0;
}

/* Killed, and not ended: the host has frozen them, or refused. Who reaps the embedder's children reaps them too. */
static void abandon(struct systrap_platform *sp)
{
    while (!list_empty(&sp->kept)) {
        struct systrap_subprocess *subprocess = container_of(sp->kept.next, struct systrap_subprocess, kept);

        forget(sp, subprocess);
        subprocess_release(&subprocess->base);
    }
}

void keeper_stop(struct systrap_platform *sp)
{
    const uint64_t one = 1;

    if (!sp->keeper_runs)
        return;
    atomic_store(&sp->stopping, true);
    while (write(sp->stop, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(sp->keeper, NULL);
    sp->keeper_runs = false;
    abandon(sp);
    close_descriptors(sp);
}

int keeper_watch(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = subprocess->id};
    int fd = child_open(subprocess);
    int err = fd < 0 ? fd : 0;

    pthread_mutex_lock(&sp->keeper_lock);
    subprocess->pidfd = fd < 0 ? -1 : fd;
    list_add_last(&sp->kept, &subprocess->kept);
    if (!err && epoll_ctl(sp->keeper_epoll, EPOLL_CTL_ADD, fd, &event))
        err = -errno;
    pthread_mutex_unlock(&sp->keeper_lock);
    return err;
}

static bool is_known(const struct systrap_platform *sp, pid_t pid)
{
    const struct list *node;

    list_for_each(node, &sp->kept)
    {
        if (atomic_load(&container_of(node, struct systrap_subprocess, kept)->child) == pid)
            return true;
    }
    return false;
}

/*
 * A stub that was killed while it made another has had the host write down the
 * other's number before it ended, where a guest can change it. That one ends
 * by itself: make_process().
 */
static void reap_stranger(struct systrap_platform *sp, const struct systrap_subprocess *mother)
{
    int64_t until = clock_monotonic_ns() + STRANGER_NS;
    pid_t pid = (pid_t)SHARED_LOAD(control_of(mother)->born);
    bool done;

    for (;;) {
        pthread_mutex_lock(&sp->keeper_lock);
        /* Once the template has been reaped, the group's number may be another's. */
        done = !is_known(sp, sp->group) || is_known(sp, pid) || child_reap_stranger(pid, sp->group);
        pthread_mutex_unlock(&sp->keeper_lock);
        if (done || clock_monotonic_ns() >= until)
            return;
        clock_pause(STRANGER_PAUSE);
    }
}

void keeper_reap_strangers(struct systrap_platform *sp)
{
    pid_t last = 0;
    pid_t pid;

    pthread_mutex_lock(&sp->keeper_lock);
    while (is_known(sp, sp->group)) {
        pid = child_ended_in(sp->group);
        /* The same again: the host does not have it reaped. */
        if (pid <= 0 || pid == last || is_known(sp, pid))
            break;
        child_reap_stranger(pid, sp->group);
        last = pid;
    }
    pthread_mutex_unlock(&sp->keeper_lock);
}

void keeper_look_away(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    pthread_mutex_lock(&sp->keeper_lock);
    epoll_ctl(sp->keeper_epoll, EPOLL_CTL_DEL, subprocess->pidfd, NULL);
    pthread_mutex_unlock(&sp->keeper_lock);
}

/* keeper_lock is held. The keeper may have looked away: it is told at once of what has ended meanwhile. */
static void leave_behind(struct systrap_platform *sp, struct systrap_subprocess *subprocess)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = subprocess->id};

    subprocess->left_behind = true;
    epoll_ctl(sp->keeper_epoll, EPOLL_CTL_ADD, subprocess->pidfd, &event);
}

bool keeper_bury(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    bool ended = child_wait(subprocess, clock_monotonic_ns() + WATCHDOG_TEARDOWN);
    int32_t reason;
    int32_t status;

    if (ended && subprocess->lost_child)
        reap_stranger(sp, subprocess);
    pthread_mutex_lock(&sp->keeper_lock);
    /* The keeper may have seen in the meantime what this thread waited for in vain. */
    ended = ended || child_look(subprocess, &reason, &status) != CHILD_LIVES;
    if (ended)
        bury(sp, subprocess);
    else
        leave_behind(sp, subprocess);
    pthread_mutex_unlock(&sp->keeper_lock);
    return ended;
}

void keeper_forget(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    pthread_mutex_lock(&sp->keeper_lock);
    forget(sp, subprocess);
    pthread_mutex_unlock(&sp->keeper_lock);
}
