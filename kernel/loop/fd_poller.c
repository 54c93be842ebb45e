/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "loop/fd_poller.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The list that the thread polls, and the one that it takes over when the event descriptor says so. */
struct watch_list {
    struct pollfd *fds;
    size_t count;
    size_t capacity;
};

struct fd_poller {
    tg_queue *queue;
    pthread_t thread;
    int event_fd;  /* what wakes the thread */
    int notify_fd; /* where that is written to: the same, or a pipe's other end */
    atomic_bool ready;
    atomic_int error;     /* of poll, -errno: the thread has ended; fd_poller_watch() reads it */
    pthread_mutex_t lock; /* of the two below */
    struct watch_list next;
    bool stop;
    struct watch_list current; /* the thread's own */
};

/* Room for count entries behind the event descriptor's own. */
static int make_room(struct watch_list *list, size_t count)
{
    struct pollfd *larger;

    if (list->capacity >= count)
        return 0;
    larger = reallocarray(list->fds, count, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    list->fds = larger;
    list->capacity = count;
    return 0;
}

static void signal_thread(struct fd_poller *poller)
{
    const uint64_t one = 1;
    ssize_t written;

    do
        written = write(poller->notify_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
}

/* Takes over the newest list; false when the thread shall end. */
static bool take_list(struct fd_poller *poller)
{
    uint64_t events;
    bool go_on;

    if (read(poller->event_fd, &events, sizeof(events)) < 0 && errno != EINTR && errno != EAGAIN)
        return false;
    pthread_mutex_lock(&poller->lock);
    /* None: it was taken with the event before, which came between that one's read and lock. */
    if (poller->next.count) {
        struct watch_list swap = poller->current;

        poller->current = poller->next;
        poller->next = swap;
        poller->next.count = 0;
    }
    go_on = !poller->stop;
    pthread_mutex_unlock(&poller->lock);
    return go_on;
}

/* The loop shall look for itself. */
static void tell_loop(struct fd_poller *poller)
{
    poller->current.count = 0;
    atomic_store(&poller->ready, true);
    tg_queue_wake(poller->queue);
}

/* True when the host does not even let the thread wait for its own descriptor: there is nothing left to do. */
static bool is_refused(struct fd_poller *poller, int err)
{
    bool watches_others = poller->current.count > 0;

    if (!watches_others)
        atomic_store(&poller->error, -err);
    tell_loop(poller);
    return !watches_others;
}

static void *poll_thread(void *argument)
{
    struct fd_poller *poller = argument;

    for (;;) {
        struct watch_list *list = &poller->current;
        struct pollfd alone = {.fd = poller->event_fd, .events = POLLIN};
        struct pollfd *fds = list->count ? list->fds : &alone;
        int n = ppoll(fds, list->count ? list->count : 1, NULL, NULL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && is_refused(poller, errno))
            return NULL;
        if (n > 0 && !(fds[0].revents & POLLIN))
            tell_loop(poller);
        else if (n > 0 && !take_list(poller))
            return NULL;
    }
}

/* The embedder's signals are for its own threads. */
static int start_thread(struct fd_poller *poller)
{
    sigset_t all, old;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&poller->thread, NULL, poll_thread, poller);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -err;
}

/* A pipe does where the host has no eventfd2(2): some container's profiles know only what is older. */
static int open_descriptors(struct fd_poller *poller)
{
    int ends[2];

    poller->event_fd = poller->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->event_fd >= 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    poller->event_fd = ends[0];
    poller->notify_fd = ends[1];
    return 0;
}

static void close_descriptors(const struct fd_poller *poller)
{
    close(poller->event_fd);
    if (poller->notify_fd != poller->event_fd)
        close(poller->notify_fd);
}

int fd_poller_create(tg_queue *queue, struct fd_poller **out)
{
    struct fd_poller *poller = calloc(1, sizeof(*poller));
    int err;

    *out = NULL;
    if (!poller)
        return -ENOMEM;
    poller->queue = queue;
    pthread_mutex_init(&poller->lock, NULL);
    err = open_descriptors(poller);
    if (!err) {
        err = start_thread(poller);
        if (err)
            close_descriptors(poller);
    }
    if (err)
        free(poller);
    else
        *out = poller;
    return err;
}

int fd_poller_watch(struct fd_poller *poller, const struct pollfd *fds, size_t count)
{
    int err = atomic_load(&poller->error);

    if (err)
        return err;
    pthread_mutex_lock(&poller->lock);
    err = make_room(&poller->next, count + 1);
    if (!err) {
        poller->next.fds[0] = (struct pollfd){.fd = poller->event_fd, .events = POLLIN};
        memcpy(poller->next.fds + 1, fds, count * sizeof(*fds));
        poller->next.count = count + 1;
    }
    pthread_mutex_unlock(&poller->lock);
    if (!err)
        signal_thread(poller);
    return err;
}

bool fd_poller_take_ready(struct fd_poller *poller)
{
    return atomic_load_explicit(&poller->ready, memory_order_relaxed) && atomic_exchange(&poller->ready, false);
}

void fd_poller_destroy(struct fd_poller *poller)
{
    if (!poller)
        return;
    pthread_mutex_lock(&poller->lock);
    poller->stop = true;
    pthread_mutex_unlock(&poller->lock);
    signal_thread(poller);
    pthread_join(poller->thread, NULL);
    pthread_mutex_destroy(&poller->lock);
    close_descriptors(poller);
    free(poller->current.fds);
    free(poller->next.fds);
    free(poller);
}
