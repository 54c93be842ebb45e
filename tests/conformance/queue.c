/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The queue: one thread drives many contexts. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

#define FOREVER       (-1)
#define MANY          200
#define CAPACITY      64
/* A second code area, for cases that need two kinds of guests in one subprocess. */
#define OTHER_CODE_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)

static tg_queue *create_queue(tg_platform *platform)
{
    tg_queue *queue = NULL;

    CHECK_OK(tg_queue_create(platform, &queue));
    CHECK(queue != NULL);
    return queue;
}

static size_t wait_events(tg_queue *queue, tg_event *events, size_t capacity, int64_t timeout_ns)
{
    size_t count = 9999;
    size_t i;

    for (i = 0; i < capacity; i++)
        events[i] = new_event();
    CHECK_OK(tg_queue_wait(queue, events, capacity, timeout_ns, &count));
    CHECK(count <= capacity);
    return count;
}

static tg_event wait_one(tg_queue *queue)
{
    tg_event event;

    CHECK_EQ(wait_events(queue, &event, 1, FOREVER), 1);
    return event;
}

static tg_context *create_counter(tg_platform *platform, uint64_t index)
{
    tg_context *context = create_started_context(platform);

    CHECK_OK(tg_context_set_user_data(context, index));
    return context;
}

static void one_event_per_submit(uint32_t backend)
{
    struct guest guest;
    tg_event events[CAPACITY];
    tg_queue *queue;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_context_set_user_data(guest.context, 0xabcdef));
    for (i = 1; i <= 50; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        event = wait_one(queue);
        CHECK(event.context == guest.context);
        CHECK_EQ(event.user_data, 0xabcdef);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
        CHECK_EQ(wait_events(queue, events, CAPACITY, 0), 0);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* Each context's events carry its own data and count, in its own order. */
static void drive_many(struct guest *guest, tg_queue *queue, unsigned int contexts, unsigned int rounds)
{
    tg_context **all = calloc(contexts, sizeof(*all));
    uint64_t *seen = calloc(contexts, sizeof(*seen));
    unsigned int left = contexts * rounds;
    tg_event events[CAPACITY];
    size_t count;
    size_t i;

    CHECK(all && seen);
    for (i = 0; i < contexts; i++) {
        all[i] = create_counter(guest->platform, i);
        CHECK_OK(tg_queue_submit(queue, all[i], guest->subprocess));
    }
    while (left > 0) {
        count = wait_events(queue, events, CAPACITY, FOREVER);
        CHECK(count > 0);
        for (i = 0; i < count; i++) {
            uint64_t index = events[i].user_data;

            CHECK(index < contexts);
            CHECK(events[i].context == all[index]);
            CHECK_CALL(&events[i], GUEST_CALL);
            CHECK_EQ(events[i].u.syscall.args[0], ++seen[index]);
            left--;
            if (seen[index] < rounds)
                CHECK_OK(tg_queue_submit(queue, all[index], guest->subprocess));
        }
    }
    CHECK_EQ(wait_events(queue, events, CAPACITY, 0), 0);
    for (i = 0; i < contexts; i++)
        tg_context_destroy(all[i]);
    free(seen);
    free(all);
}

static void many_contexts(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    drive_many(&guest, queue, MANY, 10);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void thousands(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    drive_many(&guest, queue, 4200, 2);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void many_through_the_descriptor(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK(tg_queue_fd(queue) >= 0);
    drive_many(&guest, queue, MANY, 10);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void many_subprocesses(uint32_t backend)
{
    enum { SUBPROCESSES = 20, ROUNDS = 10 };
    tg_platform *platform = open_platform(backend, 0);
    tg_subprocess *subprocesses[SUBPROCESSES];
    tg_context *contexts[SUBPROCESSES];
    tg_queue *queue = create_queue(platform);
    unsigned int left = SUBPROCESSES * ROUNDS;
    uint64_t i;

    for (i = 0; i < SUBPROCESSES; i++) {
        subprocesses[i] = create_loaded_subprocess(platform, GUEST_CODE(read_calls));
        guest_store(subprocesses[i], GUEST_DATA_AT, 1000 + i);
        contexts[i] = create_counter(platform, i);
        arch_set_argument(contexts[i], 0, GUEST_DATA_AT);
        CHECK_OK(tg_queue_submit(queue, contexts[i], subprocesses[i]));
    }
    while (left-- > 0) {
        tg_event event = wait_one(queue);

        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[1], 1000 + event.user_data);
        if (left >= SUBPROCESSES)
            CHECK_OK(tg_queue_submit(queue, event.context, subprocesses[event.user_data]));
    }
    tg_queue_destroy(queue);
    tg_platform_close(platform);
}

static void capacity_is_kept(uint32_t backend)
{
    enum { CONTEXTS = 10 };
    struct guest guest;
    tg_event events[CONTEXTS + 1];
    tg_queue *queue;
    size_t total = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    for (i = 0; i < CONTEXTS; i++)
        CHECK_OK(tg_queue_submit(queue, create_counter(guest.platform, 0), guest.subprocess));
    while (total < CONTEXTS) {
        memset(events, 0xdd, sizeof(events));
        total += wait_events(queue, events, 3, FOREVER);
        CHECK_EQ(events[3].kind, 0xdddddddd);
    }
    CHECK_EQ(total, CONTEXTS);
    CHECK_EQ(wait_events(queue, events, CONTEXTS, 0), 0);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

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

struct waiter {
    tg_queue *queue;
    const struct guest *guest; /* whose context it submits, if it does */
    atomic_int started;
    size_t count;
    tg_event event;
};

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

static void running_context_is_busy(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_queue *other;
    tg_event event = new_event();

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    other = create_queue(guest.platform);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_RESULT(tg_queue_submit(queue, guest.context, guest.subprocess), -EBUSY);
    CHECK_RESULT(tg_queue_submit(other, guest.context, guest.subprocess), -EBUSY);
    CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &event), -EBUSY);
    CHECK(tg_context_regs_mut(guest.context) == NULL);
    CHECK_OK(tg_context_interrupt(guest.context));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    CHECK(tg_context_regs_mut(guest.context) != NULL);
    tg_queue_destroy(other);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void interrupts_queued_contexts(uint32_t backend)
{
    enum { CONTEXTS = 20 };
    tg_context *contexts[CONTEXTS];
    struct guest guest;
    tg_queue *queue;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    for (i = 0; i < CONTEXTS; i++) {
        contexts[i] = create_counter(guest.platform, (uint64_t)i);
        CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
    }
    /* One at a time, so that each answer must be the right one. */
    for (i = CONTEXTS - 1; i >= 0; i--) {
        tg_event event;

        CHECK_OK(tg_context_interrupt(contexts[i]));
        event = wait_one(queue);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
        CHECK_EQ(event.user_data, i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void interrupt_before_submit(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_context_interrupt(guest.context));
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    event = wait_one(queue);
    CHECK_CALL(&event, GUEST_CALL);
    CHECK_EQ(event.u.syscall.args[0], 1);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* More spinners than processors, and still every caller gets its turns. */
static void spinners_share(uint32_t backend)
{
    enum { SPINNERS = 16 };
    tg_context *spinners[SPINNERS];
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(spin_counting));
    queue = create_queue(guest.platform);
    for (i = 0; i < SPINNERS; i++) {
        spinners[i] = create_counter(guest.platform, 1000 + i);
        CHECK_OK(tg_context_start(spinners[i], OTHER_CODE_AT, GUEST_STACK_TOP));
        arch_set_argument(spinners[i], 0, GUEST_DATA_AT + 8 * i);
        CHECK_OK(tg_queue_submit(queue, spinners[i], guest.subprocess));
    }
    for (i = 1; i <= 50; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        event = wait_one(queue);
        CHECK(event.context == guest.context);
        CHECK_EQ(event.u.syscall.args[0], i);
    }
    /* Nobody starves: every spinner has counted, or does while we wait. */
    for (i = 0; i < SPINNERS; i++) {
        while (guest_load(guest.subprocess, GUEST_DATA_AT + 8 * i) == 0)
            CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    }
    for (i = 0; i < SPINNERS; i++) {
        CHECK_OK(tg_context_interrupt(spinners[i]));
        event = wait_one(queue);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
        CHECK(event.context == spinners[i]);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

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

/* A context is started where it is submitted if that thread waited last, so submit and wait go together. */
static void *submit_and_take(void *argument)
{
    struct waiter *waiter = argument;

    CHECK_OK(tg_queue_submit(waiter->queue, waiter->guest->context, waiter->guest->subprocess));
    waiter->count = wait_events(waiter->queue, &waiter->event, 1, FOREVER);
    return NULL;
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

static void destroy_stops_contexts(uint32_t backend)
{
    enum { CONTEXTS = 8 };
    tg_context *contexts[CONTEXTS];
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    int look;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(counting_calls));
    for (look = 0; look < 2; look++) {
        queue = create_queue(guest.platform);
        for (i = 0; i < CONTEXTS; i++) {
            contexts[i] = create_counter(guest.platform, (uint64_t)i);
            CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
        }
        if (look)
            CHECK_EQ(wait_events(queue, &event, 1, 2000000), 0);
        tg_queue_destroy(queue);
        for (i = 0; i < CONTEXTS; i++) {
            CHECK_OK(tg_context_start(contexts[i], OTHER_CODE_AT, GUEST_STACK_TOP));
            run_context(contexts[i], guest.subprocess, &event);
            CHECK_CALL(&event, GUEST_CALL);
            CHECK_EQ(event.u.syscall.args[0], 1);
            tg_context_destroy(contexts[i]);
        }
    }
    guest_close(&guest);
}

static void fetched_events_are_not_needed(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    struct pollfd ready = {.events = POLLIN};

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    ready.fd = tg_queue_fd(queue);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
    /* The event is there and nobody takes it. */
    tg_queue_destroy(queue);
    run_context(guest.context, guest.subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
    guest_close(&guest);
}

static void death_comes_as_events(uint32_t backend)
{
    enum { CONTEXTS = 10 };
    struct guest guest;
    tg_subprocess *healthy;
    tg_context *survivor;
    tg_queue *queue;
    tg_event event;
    int dead = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    healthy = create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    for (i = 0; i < CONTEXTS; i++)
        CHECK_OK(tg_queue_submit(queue, create_counter(guest.platform, 1), guest.subprocess));
    CHECK_EQ(wait_events(queue, &event, 1, 1000000), 0);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    survivor = create_counter(guest.platform, 2);
    CHECK_OK(tg_queue_submit(queue, survivor, healthy));
    for (i = 0; i < CONTEXTS + 1; i++) {
        event = wait_one(queue);
        if (event.user_data == 2) {
            CHECK_CALL(&event, GUEST_CALL);
        } else {
            CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
            dead++;
        }
    }
    CHECK_EQ(dead, CONTEXTS);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    event = wait_one(queue);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    tg_queue_destroy(queue);
    tg_subprocess_destroy(healthy);
    guest_close(&guest);
}

static void queues_side_by_side(uint32_t backend)
{
    enum { QUEUES = 3 };
    tg_queue *queues[QUEUES];
    struct guest guest;
    tg_event event;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < QUEUES; i++) {
        queues[i] = create_queue(guest.platform);
        CHECK_OK(tg_queue_submit(queues[i], create_counter(guest.platform, i), guest.subprocess));
    }
    for (i = QUEUES; i-- > 0;) {
        event = wait_one(queues[i]);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.user_data, i);
        CHECK_EQ(wait_events(queues[i], &event, 1, 0), 0);
    }
    for (i = 0; i < QUEUES; i++)
        tg_queue_destroy(queues[i]);
    guest_close(&guest);
}

/* A context alternates between a queue and a plain switch, on one and on two threads. */
static void mixes_with_switch(uint32_t backend)
{
    struct guest guest;
    struct waiter waiter = {0};
    tg_queue *queue;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    waiter.queue = queue;
    waiter.guest = &guest;
    for (i = 1; i <= 30; i++) {
        if (i % 3 == 0) {
            GUEST_RUN_TO_CALL(&guest);
        } else {
            if (i % 3 == 1)
                submit_and_take(&waiter);
            else
                run_in_thread(submit_and_take, &waiter);
            guest.event = waiter.event;
        }
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* Who waits in a switch gets a stub thread too, whatever those that the queue keeps busy think of it. */
static void switch_beside_a_queue(uint32_t backend)
{
    enum { CALLERS = 4, ROUNDS = 500 };
    struct guest guest;
    tg_context *spinner;
    tg_queue *queue;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    spinner = create_counter(guest.platform, CALLERS);
    CHECK_OK(tg_context_start(spinner, OTHER_CODE_AT, GUEST_STACK_TOP));
    CHECK_OK(tg_queue_submit(queue, spinner, guest.subprocess));
    for (i = 1; i <= 5; i++) {
        drive_many(&guest, queue, CALLERS, ROUNDS);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
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

const struct test_case queue_cases[] = {
    {"queue.one_event_per_submit", "Each submit gives exactly one event, with the context's user data",
     one_event_per_submit},
    {"queue.many_contexts", "One thread drives 200 contexts; each gets its own events in order", many_contexts},
    {"queue.thousands", "One thread drives more than 4,096 contexts", thousands},
    {"queue.many_with_fd", "The same through a queue whose descriptor is in use", many_through_the_descriptor},
    {"queue.many_subprocesses", "One queue runs contexts in twenty subprocesses", many_subprocesses},
    {"queue.capacity", "A wait writes no more events than asked for and loses none", capacity_is_kept},
    {"queue.timeout", "A wait ends with no event when its time is over", timeout_ends_the_wait},
    {"queue.wake_sticky", "A wake before the wait ends that wait and no other", wake_is_sticky},
    {"queue.wake", "A wake ends a wait that runs, with and without running contexts", wake_ends_a_wait},
    {"queue.wake_signal_handler", "A wake may come from a signal handler on the waiting thread",
     wake_from_a_signal_handler},
    {"queue.submit_to_waiter", "A submit reaches a wait that runs already", submit_reaches_a_waiter},
    {"queue.second_waiter", "A second wait at the same time is refused", second_waiter_is_busy},
    {"queue.submit_threads", "Submits from four threads all come out, once each", submits_from_many_threads},
    {"queue.busy", "A context that runs refuses submit, switch and changes", running_context_is_busy},
    {"queue.interrupt", "Each of twenty spinning contexts answers its own interrupt", interrupts_queued_contexts},
    {"queue.interrupt_before", "An interrupt before the submit is its event, and the guest does not move",
     interrupt_before_submit},
    {"queue.spinners_share", "Sixteen spinners and a caller in one queue: nobody starves", spinners_share},
    {"queue.fd", "The descriptor is readable exactly while events wait", descriptor_with_epoll},
    {"queue.fd_any_thread", "With the descriptor in use any thread may wait", descriptor_frees_the_waiter},
    {"queue.fd_busy", "The descriptor is given while contexts run, or refused (ptrace) and given afterwards",
     descriptor_while_running},
    {"queue.waiting_thread", "The waiting thread may change while nothing runs; the tracer rule holds otherwise",
     waiting_thread_changes},
    {"queue.destroy", "Destroying a queue stops its contexts; they run again elsewhere", destroy_stops_contexts},
    {"queue.destroy_with_events", "Events that nobody took go with the queue, the context stays usable",
     fetched_events_are_not_needed},
    {"queue.death", "When a stub dies each of its contexts gets one DEAD event, others go on", death_comes_as_events},
    {"queue.side_by_side", "Several queues of one platform keep their events apart", queues_side_by_side},
    {"queue.mixed_with_switch", "A context may alternate between queue and switch, and between threads",
     mixes_with_switch},
    {"queue.switch_beside", "A switch comes back while the queue's contexts of the same subprocess keep it busy",
     switch_beside_a_queue},
    {0},
};
