/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A switch that leaves its context to a queue when that takes too long. Each event comes once, one way or the other. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "scale.h"
#include "threads.h"

#define ROUNDS        1000
#define ENDS          40
#define ENDS_MOST_NS  200000
#define PAUSE_NS      100000
#define SPIN_NS       20000
#define SPIN_SHORT_NS 2000
#define COMPUTE_STEP  16 /* rounds of a guest; the longest are longer than SPIN_SHORT_NS */
#define COMPUTE_KINDS 256

static int begin(tg_context *context, tg_subprocess *subprocess, tg_queue *queue, uint64_t spin_ns, tg_event *event)
{
    int left;

    *event = new_event();
    left = tg_context_switch_or_submit(context, subprocess, queue, spin_ns, event);
    CHECK(left == 0 || left == 1);
    return left;
}

/* Its event, which way it ever comes, and no other. */
static tg_event run_either_way(struct guest *guest, tg_queue *queue, uint64_t spin_ns)
{
    tg_event event;
    tg_event none;

    if (begin(guest->context, guest->subprocess, queue, spin_ns, &event) == 1)
        event = wait_one(queue);
    CHECK(event.context == guest->context);
    CHECK_EQ(wait_events(queue, &none, 1, 0), 0);
    return event;
}

static void takes_either_way(uint32_t backend)
{
    static const uint64_t spins[] = {0, SPIN_SHORT_NS, SPIN_NS, UINT64_MAX};
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_context_set_user_data(guest.context, 7));
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        tg_event event = run_either_way(&guest, queue, spins[i % ARRAY_SIZE(spins)]);

        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
        CHECK_EQ(event.user_data, 7);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void leaves_who_computes(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    for (int i = 0; i < ENDS; i++) {
        CHECK_EQ(begin(guest.context, guest.subprocess, queue, i % 2 ? SPIN_NS : 0, &event), 1);
        CHECK_EQ(tg_context_switch_or_submit(guest.context, guest.subprocess, queue, 0, &event), -EBUSY);
        CHECK_EQ(tg_context_switch(guest.context, guest.subprocess, &event), -EBUSY);
        CHECK_OK(tg_context_interrupt(guest.context));
        event = wait_one(queue);
        CHECK(event.context == guest.context);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
        CHECK_OK(tg_context_interrupt(guest.context));
        event = run_either_way(&guest, queue, SPIN_NS);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void faults_either_way(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    queue = create_queue(guest.platform);
    for (int i = 0; i < ENDS; i++) {
        tg_event event;

        guest_restart(&guest);
        arch_set_argument(guest.context, 0, GUEST_HOLE_AT);
        event = run_either_way(&guest, queue, i % 2 ? SPIN_NS : 0);
        CHECK_FAULT(&event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* ---- one thread runs a context, another waits on the queue ---- */

struct relay {
    struct guest guest;
    tg_queue *queue;
    _Atomic uint64_t taken; /* how often its event came out of the queue */
    _Atomic bool ends;
};

static void *take_events(void *argument)
{
    struct relay *relay = argument;

    while (!atomic_load(&relay->ends)) {
        tg_event event;

        if (wait_events(relay->queue, &event, 1, FOREVER) == 0)
            continue;
        CHECK(event.context == relay->guest.context);
        CHECK_CALL(&event, GUEST_CALL);
        atomic_fetch_add(&relay->taken, 1);
    }
    return NULL;
}

/* The call comes sooner or later than the thread has stopped looking for it. */
static void at_any_moment(uint32_t backend)
{
    struct relay relay = {.taken = 0};
    uint64_t left = 0;
    pthread_t taker;

    guest_open(&relay.guest, backend, GUEST_CODE(compute_calls));
    relay.queue = create_queue(relay.guest.platform);
    taker = start_thread(take_events, &relay);
    for (uint64_t i = 0; i < scaled(ROUNDS); i++) {
        tg_event event;

        arch_set_argument(relay.guest.context, 0, 1 + i % COMPUTE_KINDS * COMPUTE_STEP);
        if (begin(relay.guest.context, relay.guest.subprocess, relay.queue, SPIN_SHORT_NS, &event) == 0) {
            CHECK_CALL(&event, GUEST_CALL);
            CHECK_EQ(atomic_load(&relay.taken), left);
            continue;
        }
        left++;
        while (atomic_load(&relay.taken) < left)
            sched_yield();
        CHECK_EQ(atomic_load(&relay.taken), left);
    }
    atomic_store(&relay.ends, true);
    CHECK_OK(tg_queue_wake(relay.queue));
    join_thread(taker);
    tg_queue_destroy(relay.queue);
    guest_close(&relay.guest);
}

/* ---- many threads, and one that waits for all ---- */

#define CALLERS       4
#define CALLER_ROUNDS 300

struct caller {
    struct crowd *crowd;
    tg_context *context;
    uint64_t index;
    _Atomic uint64_t count; /* of its last event that came out of the queue */
};

struct crowd {
    struct guest guest;
    tg_queue *queue;
    struct caller callers[CALLERS];
    _Atomic bool ends;
};

static void *call_again_and_again(void *argument)
{
    struct caller *caller = argument;
    struct crowd *crowd = caller->crowd;

    for (uint64_t i = 1; i <= scaled(CALLER_ROUNDS); i++) {
        tg_event event;

        if (begin(caller->context, crowd->guest.subprocess, crowd->queue, SPIN_NS, &event) == 0) {
            CHECK_EQ(event.user_data, caller->index);
            CHECK_EQ(event.u.syscall.args[0], i);
            continue;
        }
        while (atomic_load(&caller->count) != i)
            sched_yield();
    }
    return NULL;
}

static void *hand_events_on(void *argument)
{
    struct crowd *crowd = argument;

    while (!atomic_load(&crowd->ends)) {
        tg_event events[CALLERS];
        size_t count = wait_events(crowd->queue, events, CALLERS, FOREVER);

        for (size_t i = 0; i < count; i++) {
            CHECK(events[i].user_data < CALLERS);
            CHECK_CALL(&events[i], GUEST_CALL);
            atomic_store(&crowd->callers[events[i].user_data].count, events[i].u.syscall.args[0]);
        }
    }
    return NULL;
}

static void from_many_threads(uint32_t backend)
{
    struct crowd crowd = {.ends = false};
    pthread_t threads[CALLERS];
    pthread_t waiter;

    guest_open(&crowd.guest, backend, GUEST_CODE(counting_calls));
    crowd.queue = create_queue(crowd.guest.platform);
    waiter = start_thread(hand_events_on, &crowd);
    for (uint64_t i = 0; i < CALLERS; i++) {
        struct caller *caller = &crowd.callers[i];

        caller->crowd = &crowd;
        caller->index = i;
        caller->context = create_counter(crowd.guest.platform, i);
        threads[i] = start_thread(call_again_and_again, caller);
    }
    for (uint64_t i = 0; i < CALLERS; i++)
        join_thread(threads[i]);
    atomic_store(&crowd.ends, true);
    CHECK_OK(tg_queue_wake(crowd.queue));
    join_thread(waiter);
    tg_queue_destroy(crowd.queue);
    guest_close(&crowd.guest);
}

/* ---- ends ---- */

struct doomed {
    tg_subprocess *subprocess;
    long after_ns;
};

/* When the guest runs: destroying it is the last call on a subprocess. */
static void *destroy_soon(void *argument)
{
    const struct doomed *doomed = argument;

    guest_wait_change(doomed->subprocess, GUEST_DATA_AT, 0);
    nanosleep(&(struct timespec){.tv_nsec = doomed->after_ns}, NULL);
    tg_subprocess_destroy(doomed->subprocess);
    return NULL;
}

/* At any moment of the switch, of its leaving, and of what follows. */
static void subprocess_destroyed_beside(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    queue = create_queue(guest.platform);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    for (int i = 0; i < ENDS; i++) {
        struct doomed doomed = {
            .subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(spin_counting)),
            .after_ns = (long)i * ENDS_MOST_NS / ENDS,
        };
        pthread_t destroyer = start_thread(destroy_soon, &doomed);
        tg_event event;

        if (begin(guest.context, doomed.subprocess, queue, ENDS_MOST_NS, &event) == 1)
            event = wait_one(queue);
        CHECK(event.context == guest.context);
        CHECK_DEAD(&event, TG_DEAD_DESTROYED, 0);
        join_thread(destroyer);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void stub_is_killed(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(spin));
    queue = create_queue(guest.platform);
    CHECK_EQ(begin(guest.context, guest.subprocess, queue, SPIN_SHORT_NS, &event), 1);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    event = wait_one(queue);
    CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
    event = run_either_way(&guest, queue, SPIN_SHORT_NS);
    CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* The context that was left to it goes on elsewhere. */
static void queue_destroyed_with_it(uint32_t backend)
{
    struct guest guest;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    for (int i = 0; i < ENDS; i++) {
        tg_queue *queue = create_queue(guest.platform);
        uint64_t count = guest_load(guest.subprocess, GUEST_DATA_AT);

        CHECK_EQ(begin(guest.context, guest.subprocess, queue, 0, &event), 1);
        /* It runs while somebody waits for its event. */
        while (guest_load(guest.subprocess, GUEST_DATA_AT) == count)
            CHECK_EQ(wait_events(queue, &event, 1, PAUSE_NS), 0);
        tg_queue_destroy(queue);
        CHECK_OK(tg_context_interrupt(guest.context));
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    }
    guest_close(&guest);
}

static void comes_by_the_descriptor(uint32_t backend)
{
    struct guest guest;
    struct pollfd ready = {.events = POLLIN};
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    ready.fd = tg_queue_fd(queue);
    CHECK(ready.fd >= 0);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        tg_event event;

        if (begin(guest.context, guest.subprocess, queue, i % 2 ? SPIN_NS : 0, &event) == 1) {
            CHECK_EQ(CHECK_SYSTEM(poll(&ready, 1, -1)), 1);
            event = wait_one(queue);
        }
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case switch_or_submit_cases[] = {
    {"switch_or_submit.either_way", "Each event comes once, from the call or from the queue", takes_either_way},
    {"switch_or_submit.computes", "A context that computes is left to the queue, and can be interrupted there",
     leaves_who_computes},
    {"switch_or_submit.faults", "So does a fault", faults_either_way},
    {"switch_or_submit.any_moment", "A call comes at any moment of leaving, to whichever thread it belongs",
     at_any_moment},
    {"switch_or_submit.threads", "Many threads leave contexts to one queue", from_many_threads},
    {"switch_or_submit.destroyed", "A subprocess is destroyed beside it: one DEAD event", subprocess_destroyed_beside},
    {"switch_or_submit.killed", "A stub is killed when its context has been left to the queue", stub_is_killed},
    {"switch_or_submit.queue_destroyed", "A context that was left to a queue outlives it", queue_destroyed_with_it},
    {"switch_or_submit.descriptor", "The queue's descriptor is readable for what was left to it",
     comes_by_the_descriptor},
    {0},
};
