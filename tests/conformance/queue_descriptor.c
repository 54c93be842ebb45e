/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The descriptor of a queue, and which thread may wait with and without it. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

static void descriptor_with_epoll(uint32_t backend)
{
    struct epoll_event interest = {.events = EPOLLIN};
    struct epoll_event ready;
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    uint64_t i;
    int epoll = CHECK_SYSTEM(epoll_create1(EPOLL_CLOEXEC));

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK(tg_queue_fd(queue) >= 0);
    CHECK_EQ(tg_queue_fd(queue), tg_queue_fd(queue));
    CHECK_SYSTEM(epoll_ctl(epoll, EPOLL_CTL_ADD, tg_queue_fd(queue), &interest));
    CHECK_EQ(CHECK_SYSTEM(epoll_wait(epoll, &ready, 1, 0)), 0);
    for (i = 1; i <= 50; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        CHECK_EQ(CHECK_SYSTEM(epoll_wait(epoll, &ready, 1, -1)), 1);
        CHECK_EQ(wait_events(queue, &event, 1, 0), 1);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
        CHECK_EQ(wait_events(queue, &event, 1, 0), 0);
        CHECK_EQ(CHECK_SYSTEM(epoll_wait(epoll, &ready, 1, 0)), 0);
    }
    close(epoll);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void *take_one(void *argument)
{
    struct waiter *waiter = argument;

    waiter->count = wait_events(waiter->queue, &waiter->event, 1, FOREVER);
    return NULL;
}

static void descriptor_frees_the_waiter(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter = {0};
    tg_queue *queue;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK(tg_queue_fd(queue) >= 0);
    waiter.queue = queue;
    for (i = 1; i <= 20; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        run_in_thread(take_one, &waiter);
        CHECK_EQ(waiter.count, 1);
        CHECK_EQ(waiter.event.u.syscall.args[0], i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void descriptor_while_running(uint32_t backend)
{
    struct pollfd ready = {.events = POLLIN};
    struct guest guest;
    tg_queue *queue;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    /* ptrace: what runs belongs to the thread that waited. */
    if (backend == TG_BACKEND_PTRACE) {
        CHECK_RESULT(tg_queue_fd(queue), -EBUSY);
        CHECK_OK(tg_context_interrupt(guest.context));
    } else {
        ready.fd = tg_queue_fd(queue);
        CHECK(ready.fd >= 0);
        CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, 0)), 0);
        CHECK_OK(tg_context_interrupt(guest.context));
        CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
    }
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    ready.fd = tg_queue_fd(queue);
    CHECK(ready.fd >= 0);
    /* Submitted by the thread that waited before, run by whoever waits now. */
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_OK(tg_context_interrupt(guest.context));
    CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void *look_once(void *argument)
{
    struct waiter *waiter = argument;
    tg_event event = new_event();
    size_t count;

    atomic_store(&waiter->started, tg_queue_wait(waiter->queue, &event, 1, 0, &count));
    return NULL;
}

/* With nothing running the waiting thread may change; with something running the tracer may not, on ptrace. */
static void waiting_thread_changes(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter = {0};
    tg_queue *queue;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    waiter.queue = queue;
    waiter.guest = &guest;
    for (i = 1; i <= 5; i++) {
        if (i % 2)
            run_in_thread(submit_and_take, &waiter);
        else
            submit_and_take(&waiter);
        CHECK_EQ(waiter.count, 1);
        CHECK_EQ(waiter.event.u.syscall.args[0], i);
    }
    arch_set_ip(guest.context, OTHER_CODE_AT);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    run_in_thread(look_once, &waiter);
    CHECK_RESULT(atomic_load(&waiter.started), backend == TG_BACKEND_PTRACE ? -EBUSY : 0);
    CHECK_OK(tg_context_interrupt(guest.context));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

struct wakes {
    tg_queue *queue;
    pthread_barrier_t both;
};

static void *wake_beside(void *argument)
{
    struct wakes *wakes = argument;

    pthread_barrier_wait(&wakes->both);
    CHECK_OK(tg_queue_wake(wakes->queue));
    return NULL;
}

/* Whichever comes first, the descriptor shows it. */
static void descriptor_beside_wake(uint32_t backend)
{
    enum { QUEUES = 50 };
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < QUEUES; i++) {
        struct wakes wakes = {.queue = create_queue(guest.platform)};
        struct pollfd ready = {.events = POLLIN};
        tg_event event;
        pthread_t waker;

        CHECK_EQ(pthread_barrier_init(&wakes.both, NULL, 2), 0);
        waker = start_thread(wake_beside, &wakes);
        pthread_barrier_wait(&wakes.both);
        ready.fd = tg_queue_fd(wakes.queue);
        CHECK(ready.fd >= 0);
        join_thread(waker);
        check_context("queue %d", i);
        CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, 0)), 1);
        CHECK_EQ(wait_events(wakes.queue, &event, 1, FOREVER), 0);
        pthread_barrier_destroy(&wakes.both);
        tg_queue_destroy(wakes.queue);
    }
    guest_close(&guest);
}

const struct test_case queue_descriptor_cases[] = {
    {"queue.fd", "The descriptor is readable exactly while events wait", descriptor_with_epoll},
    {"queue.fd_beside_wake", "The descriptor shows a wake that came while it was made", descriptor_beside_wake},
    {"queue.fd_any_thread", "With the descriptor in use any thread may wait", descriptor_frees_the_waiter},
    {"queue.fd_busy", "The descriptor is given while contexts run, or refused (ptrace) and given afterwards",
     descriptor_while_running},
    {"queue.waiting_thread", "The waiting thread may change while nothing runs; the tracer rule holds otherwise",
     waiting_thread_changes},
    {0},
};
