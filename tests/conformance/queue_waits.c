/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What ends a wait: its time, a wake, a submit; and who may begin one. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

static void timeout_ends_the_wait(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    CHECK_EQ(wait_events(queue, &event, 1, 0), 0);
    CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_EQ(wait_events(queue, &event, 1, 0), 0);
    CHECK_EQ(wait_events(queue, &event, 1, 5000000), 0);
    CHECK_OK(tg_context_interrupt(guest.context));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void wake_is_sticky(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_queue_wake(queue));
    CHECK_EQ(wait_events(queue, &event, 1, FOREVER), 0);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    event = wait_one(queue);
    CHECK_CALL(&event, GUEST_CALL);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void *wait_in_thread(void *argument)
{
    struct waiter *waiter = argument;

    atomic_store(&waiter->started, 1);
    waiter->count = wait_events(waiter->queue, &waiter->event, 1, FOREVER);
    return NULL;
}

static pthread_t start_waiter(struct waiter *waiter, tg_queue *queue)
{
    pthread_t thread;

    *waiter = (struct waiter){.queue = queue, .count = 9999};
    thread = start_thread(wait_in_thread, waiter);
    while (!atomic_load(&waiter->started))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return thread;
}

static void wake_ends_a_wait(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter;
    pthread_t thread;
    tg_queue *queue;
    int running;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    for (running = 0; running < 2; running++) {
        if (running)
            CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        thread = start_waiter(&waiter, queue);
        CHECK_OK(tg_queue_wake(queue));
        join_thread(thread);
        CHECK_EQ(waiter.count, 0);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static tg_queue *queue_of_handler;

static void wake_in_handler(int signo)
{
    (void)signo;
    tg_queue_wake(queue_of_handler);
}

static void wake_from_a_signal_handler(uint32_t backend)
{
    struct sigaction action = {.sa_handler = wake_in_handler};
    struct guest guest;
    struct waiter waiter;
    pthread_t thread;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue_of_handler = create_queue(guest.platform);
    CHECK_SYSTEM(sigaction(SIGUSR1, &action, NULL));
    CHECK_OK(tg_queue_submit(queue_of_handler, guest.context, guest.subprocess));
    thread = start_waiter(&waiter, queue_of_handler);
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    join_thread(thread);
    CHECK_EQ(waiter.count, 0);
    tg_queue_destroy(queue_of_handler);
    guest_close(&guest);
}

static void submit_reaches_a_waiter(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter;
    pthread_t thread;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    thread = start_waiter(&waiter, queue);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    join_thread(thread);
    CHECK_EQ(waiter.count, 1);
    CHECK_CALL(&waiter.event, GUEST_CALL);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void second_waiter_is_busy(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter;
    pthread_t thread;
    tg_queue *queue;
    tg_event event = new_event();
    size_t count;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    thread = start_waiter(&waiter, queue);
    CHECK_RESULT(tg_queue_wait(queue, &event, 1, FOREVER, &count), -EBUSY);
    CHECK_RESULT(tg_queue_wait(queue, &event, 1, 0, &count), -EBUSY);
    CHECK_OK(tg_queue_wake(queue));
    join_thread(thread);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

struct submitter {
    struct guest *guest;
    tg_queue *queue;
    unsigned int first;
    unsigned int count;
};

static void *submit_contexts(void *argument)
{
    const struct submitter *submitter = argument;
    unsigned int i;

    for (i = 0; i < submitter->count; i++)
        CHECK_OK(tg_queue_submit(submitter->queue, create_counter(submitter->guest->platform, submitter->first + i),
                                 submitter->guest->subprocess));
    return NULL;
}

static void submits_from_many_threads(uint32_t backend)
{
    enum { THREADS = 4, EACH = 50 };
    struct submitter submitters[THREADS];
    bool seen[THREADS * EACH] = {false};
    pthread_t threads[THREADS];
    struct guest guest;
    tg_queue *queue;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    for (i = 0; i < THREADS; i++) {
        submitters[i] = (struct submitter){&guest, queue, i * EACH, EACH};
        threads[i] = start_thread(submit_contexts, &submitters[i]);
    }
    for (i = 0; i < THREADS * EACH; i++) {
        tg_event event = wait_one(queue);

        CHECK_CALL(&event, GUEST_CALL);
        CHECK(event.user_data < THREADS * EACH);
        CHECK(!seen[event.user_data]);
        seen[event.user_data] = true;
    }
    for (i = 0; i < THREADS; i++)
        join_thread(threads[i]);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case queue_wait_cases[] = {
    {"queue.timeout", "A wait ends with no event when its time is over", timeout_ends_the_wait},
    {"queue.wake_sticky", "A wake before the wait ends that wait and no other", wake_is_sticky},
    {"queue.wake", "A wake ends a wait that runs, with and without running contexts", wake_ends_a_wait},
    {"queue.wake_signal_handler", "A wake may come from a signal handler on the waiting thread",
     wake_from_a_signal_handler},
    {"queue.submit_to_waiter", "A submit reaches a wait that runs already", submit_reaches_a_waiter},
    {"queue.second_waiter", "A second wait at the same time is refused", second_waiter_is_busy},
    {"queue.submit_threads", "Submits from four threads all come out, once each", submits_from_many_threads},
    {0},
};
