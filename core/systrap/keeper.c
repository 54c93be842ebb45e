/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The keeper: a thread that is the parent of all stubs of a platform, because
 * PR_SET_PDEATHSIG is about the parent thread, and that sleeps until one of
 * them dies. Whoever waits for that one is woken then.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/futex.h"
#include "core/quiet_thread.h"
#include "core/systrap/systrap_backend.h"

#define STOP_ID 0 /* no subprocess has it */

struct start {
    struct systrap_platform *sp;
    int (*make)(void *arg);
    void *arg;
    int result;
    _Atomic uint32_t done;
};

static void notice_death(struct systrap_platform *sp, uint64_t id)
{
    struct list *node;

    pthread_mutex_lock(&sp->watch_lock);
    list_for_each(node, &sp->watched)
    {
        struct systrap_subprocess *subprocess = container_of(node, struct systrap_subprocess, watched);

        if (subprocess->id == id) {
            /* Not yet, while threads of it are on their way out: the descriptor stays readable. */
            if (systrap_subprocess_reap(subprocess, false))
                epoll_ctl(sp->watch, EPOLL_CTL_DEL, subprocess->pidfd, NULL);
            break;
        }
    }
    pthread_mutex_unlock(&sp->watch_lock);
}

static void *keeper_main(void *arg)
{
    struct start *start = arg;
    struct systrap_platform *sp = start->sp;
    struct epoll_event event = {.data.u64 = STOP_ID + 1};

    start->result = start->make(start->arg);
    atomic_store(&start->done, 1);
    futex_wake_all(&start->done);
    /* What started it is the opener's and gone from here on. */
    while (event.data.u64 != STOP_ID) {
        if (epoll_wait(sp->watch, &event, 1, -1) == 1 && event.data.u64 != STOP_ID)
            notice_death(sp, event.data.u64);
    }
    return NULL;
}

static int create_descriptors(struct systrap_platform *sp)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_ID};

    sp->watch = descriptor_epoll();
    sp->stop = descriptor_eventfd(0);
    if (sp->watch < 0)
        return sp->watch;
    if (sp->stop < 0)
        return sp->stop;
    if (epoll_ctl(sp->watch, EPOLL_CTL_ADD, sp->stop, &event))
        return -errno;
    return 0;
}

static void close_descriptors(struct systrap_platform *sp)
{
    if (sp->watch >= 0)
        close(sp->watch);
    if (sp->stop >= 0)
        close(sp->stop);
}

int keeper_start(struct systrap_platform *sp, int (*make)(void *arg), void *arg)
{
    struct start start = {.sp = sp, .make = make, .arg = arg};
    int err = create_descriptors(sp);

    if (!err)
        err = quiet_thread_create(&sp->keeper, keeper_main, &start);
    if (err) {
        close_descriptors(sp);
        return err;
    }
    sp->keeper_runs = true;
    while (!atomic_load(&start.done))
        futex_wait(&start.done, 0);
    return start.result;
}

void keeper_stop(struct systrap_platform *sp)
{
    const uint64_t one = 1;

    if (!sp->keeper_runs)
        return;
    while (write(sp->stop, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(sp->keeper, NULL);
    sp->keeper_runs = false;
    close_descriptors(sp);
}

int keeper_watch(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = subprocess->id};
    int err = 0;

    subprocess->pidfd = descriptor_pidfd(atomic_load(&subprocess->base.pid));
    if (subprocess->pidfd < 0)
        return subprocess->pidfd;
    pthread_mutex_lock(&sp->watch_lock);
    if (epoll_ctl(sp->watch, EPOLL_CTL_ADD, subprocess->pidfd, &event))
        err = -errno;
    else
        list_add_last(&sp->watched, &subprocess->watched);
    pthread_mutex_unlock(&sp->watch_lock);
    if (err) {
        close(subprocess->pidfd);
        subprocess->pidfd = -1;
    }
    return err;
}

void keeper_forget(struct systrap_subprocess *subprocess)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    pthread_mutex_lock(&sp->watch_lock);
    list_remove(&subprocess->watched);
    if (subprocess->pidfd >= 0) {
        epoll_ctl(sp->watch, EPOLL_CTL_DEL, subprocess->pidfd, NULL);
        close(subprocess->pidfd);
    }
    subprocess->pidfd = -1;
    pthread_mutex_unlock(&sp->watch_lock);
}
