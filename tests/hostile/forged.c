/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The shortest ways to spoil a subprocess that the storms have found, one word at a time. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "region.h"
#include "scale.h"
#include "threads.h"

#define WRITER_AT          (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define MAPS               2000
#define RESTING            64
#define SETTLE_NS          50000000
#define AGAIN_NS           100000000
#define SHORT_WAIT_NS      20000000
#define CALLS              10000
#define EXCHANGES          200
#define RELAYED            2000
#define RELAY_MS           8000 /* and no longer */
#define LOOKS_BEFORE_YIELD 1000
#define NOBODY             500 /* no slot has this number */
#define KICK_ROUNDS        20
#define WITHOUT_MEMORY     20000 /* a slot's number: there is room in the region, and none in the file */
#define KILL_AFTER         20    /* rounds of AGAIN_NS */

GUEST_DECLARE(keep_writing);
GUEST_DECLARE(write_stride);
GUEST_DECLARE(keep_filling);
GUEST_DECLARE(keep_leaving);

/* One context is the victim (slot 0), the other writes. */
struct forgery {
    struct guest guest;
    struct region region;
    tg_context *writer;
    struct bounded *victim;
    struct bounded *other;
    pthread_t thread;
};

static void *run_writer(void *argument)
{
    struct forgery *forgery = argument;
    tg_event event = new_event();
    CHECK_OK(tg_context_switch(forgery->writer, forgery->guest.subprocess, &event));
    return NULL;
}

static void forgery_open_flags(struct forgery *forgery, uint32_t backend, uint64_t flags, struct guest_code victim,
                               struct guest_code writer)
{
    need_shared_memory(backend);
    guest_open_flags(&forgery->guest, backend, flags, victim);
    load_code(forgery->guest.subprocess, WRITER_AT, writer);
    forgery->region = region_of(forgery->guest.platform, forgery->guest.subprocess);
    forgery->victim = bounded_new("the victim's thread");
    forgery->other = bounded_new("the main thread");
    forgery->writer = create_context(forgery->guest.platform);
    CHECK_OK(tg_context_start(forgery->writer, WRITER_AT, GUEST_STACK_TOP));
}

static void forgery_open(struct forgery *forgery, uint32_t backend, struct guest_code victim, struct guest_code writer)
{
    forgery_open_flags(forgery, backend, 0, victim, writer);
}

/* Slots are given out in the order of first runs: the victim's is 0 when it runs first. */
static uint64_t victim_word(const struct forgery *forgery, size_t offset)
{
    return region_slot(&forgery->region, 0) + offset;
}

static void start_writing(struct forgery *forgery, uint64_t first, uint64_t first_value, uint64_t second,
                          uint64_t second_value)
{
    arch_set_argument(forgery->writer, 0, first);
    arch_set_argument(forgery->writer, 1, first_value);
    arch_set_argument(forgery->writer, 2, second);
    arch_set_argument(forgery->writer, 4, second_value);
    forgery->thread = start_thread(run_writer, forgery);
}

static void kill_stub(const struct forgery *forgery)
{
    const pid_t pid = tg_subprocess_pid(forgery->guest.subprocess);
    if (pid > 0)
        kill(pid, SIGKILL);
}

static void stop_writing(struct forgery *forgery)
{
    kill_stub(forgery);
    join_thread(forgery->thread);
}

static void forgery_close(struct forgery *forgery)
{
    BOUNDED_VOID(forgery->other, tg_subprocess_destroy(forgery->guest.subprocess));
    BOUNDED_VOID(forgery->other, tg_context_destroy(forgery->guest.context));
    BOUNDED_VOID(forgery->other, tg_context_destroy(forgery->writer));
    BOUNDED_VOID(forgery->other, tg_platform_close(forgery->guest.platform));
}

/* control.reply and control.reply_waiting: whether the syscall thread has answered. */
void hostile_forged_answer(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    int result = 0;
    forgery_open(&forgery, backend, GUEST_CODE(call_loop), GUEST_CODE(keep_writing));
    start_writing(&forgery, region_control(&forgery.region, offsetof(struct systrap_control, reply)), 0,
                  region_control(&forgery.region, offsetof(struct systrap_control, reply_waiting)), 0);
    for (size_t i = 0; i < MAPS && result == 0; i++)
        result =
            BOUNDED(forgery.other, tg_subprocess_map(forgery.guest.subprocess, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0));
    CHECK(result == 0 || result == -ESRCH);
    stop_writing(&forgery);
    forgery_close(&forgery);
    footprint_check(&before);
}

/* slot.state of contexts at rest: a worker that never held them is to hand them back. */
void hostile_forged_held(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    tg_context *resting[RESTING];
    tg_event event;
    forgery_open(&forgery, backend, GUEST_CODE(call_loop), GUEST_CODE(write_stride));
    for (size_t i = 0; i < RESTING; i++) {
        resting[i] = create_started_context(forgery.guest.platform);
        run_context(resting[i], forgery.guest.subprocess, &event);
        CHECK_CALL(&event, GUEST_CALL);
    }
    arch_set_argument(forgery.writer, 0, region_slot(&forgery.region, 0) + offsetof(struct systrap_slot, state));
    arch_set_argument(forgery.writer, 1, SLOT_HELD);
    arch_set_argument(forgery.writer, 2, forgery.region.slot_size);
    arch_set_argument(forgery.writer, 4, RESTING);
    run_context(forgery.writer, forgery.guest.subprocess, &event);
    BOUNDED_VOID(forgery.other, tg_subprocess_destroy(forgery.guest.subprocess));
    for (size_t i = 0; i < RESTING; i++)
        BOUNDED_VOID(forgery.other, tg_context_destroy(resting[i]));
    forgery.guest.subprocess = NULL;
    forgery_close(&forgery);
    footprint_check(&before);
}

static void *run_victim(void *argument)
{
    struct forgery *forgery = argument;
    BOUNDED_VOID(forgery->victim, guest_run(&forgery->guest));
    return NULL;
}

static void wait_with_interrupts(struct forgery *forgery)
{
    while (bounded_ns(forgery->victim) != 0) {
        pause_ns(AGAIN_NS);
        CHECK_OK(tg_context_interrupt(forgery->guest.context));
    }
}

/* slot.waiting: nobody wakes the embedder, though there is an event. */
void hostile_cleared_waiting(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    forgery_open(&forgery, backend, GUEST_CODE(wait_for_word), GUEST_CODE(keep_writing));
    arch_set_argument(forgery.guest.context, 0, GUEST_DATA_AT);
    const pthread_t victim = start_thread(run_victim, &forgery);
    pause_ns(SETTLE_NS);
    const uint64_t waiting = victim_word(&forgery, offsetof(struct systrap_slot, waiting));
    start_writing(&forgery, waiting, 0, waiting, 0);
    pause_ns(SETTLE_NS);
    guest_store(forgery.guest.subprocess, GUEST_DATA_AT, 1);
    pause_ns(SETTLE_NS);
    wait_with_interrupts(&forgery);
    join_thread(victim);
    stop_writing(&forgery);
    forgery_close(&forgery);
    footprint_check(&before);
}

/* slot.state says HELD to a sleeper that nobody has woken; then the stub dies. */
void hostile_forged_event_killed(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    forgery_open(&forgery, backend, GUEST_CODE(spin), GUEST_CODE(write_stride));
    const pthread_t victim = start_thread(run_victim, &forgery);
    pause_ns(SETTLE_NS);
    start_writing(&forgery, victim_word(&forgery, offsetof(struct systrap_slot, state)), SLOT_HELD, 0, 1);
    pause_ns(SETTLE_NS);
    kill_stub(&forgery);
    join_thread(victim);
    /* It may take the forged event for one; there is no second. */
    BOUNDED_VOID(forgery.victim, guest_run(&forgery.guest));
    CHECK_DEAD(&forgery.guest.event, TG_DEAD_KILLED, SIGKILL);
    join_thread(forgery.thread);
    forgery_close(&forgery);
    footprint_check(&before);
}

static void *kill_if_stuck(void *argument)
{
    struct forgery *forgery = argument;
    for (int rounds = 0; rounds < KILL_AFTER; rounds++)
        pause_ns(AGAIN_NS);
    kill_stub(forgery);
    return NULL;
}

/* slot.state says GONE, which a dead subprocess has: a DEAD event has a reason, and the subprocess is dead then. */
void hostile_forged_gone(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    const tg_event *event = &forgery.guest.event;
    forgery_open(&forgery, backend, GUEST_CODE(call_loop), GUEST_CODE(keep_writing));
    guest_run(&forgery.guest);
    const uint64_t state = victim_word(&forgery, offsetof(struct systrap_slot, state));
    start_writing(&forgery, state, SLOT_GONE, state, SLOT_GONE);
    const pthread_t killer = start_thread(kill_if_stuck, &forgery);
    do
        BOUNDED_VOID(forgery.victim, guest_run(&forgery.guest));
    while (event->kind != TG_EVENT_DEAD);
    CHECK(event->u.dead.reason == TG_DEAD_KILLED || event->u.dead.reason == TG_DEAD_CORRUPT);
    tg_event next = new_event();
    CHECK_OK(BOUNDED(forgery.victim, tg_context_switch(forgery.guest.context, forgery.guest.subprocess, &next)));
    CHECK_KIND(&next, TG_EVENT_DEAD);
    join_thread(killer);
    stop_writing(&forgery);
    forgery_close(&forgery);
    footprint_check(&before);
}

/* slot.signal: the signal's number in an event is one that a processor raises. */
void hostile_forged_signal(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    const tg_event *event = &forgery.guest.event;
    forgery_open(&forgery, backend, GUEST_CODE(call_loop), GUEST_CODE(keep_writing));
    guest_run(&forgery.guest);
    const uint64_t signal = victim_word(&forgery, offsetof(struct systrap_slot, signal));
    start_writing(&forgery, signal, 12345, signal, 12345);
    for (size_t i = 0; i < CALLS && event->kind != TG_EVENT_DEAD; i++) {
        BOUNDED_VOID(forgery.victim, guest_run(&forgery.guest));
        if (event->kind == TG_EVENT_EXCEPTION)
            check_failed(CHECK_HERE, "EXCEPTION with signal %d", event->u.exception.signo);
        CHECK(event->kind == TG_EVENT_SYSCALL || event->kind == TG_EVENT_DEAD);
    }
    stop_writing(&forgery);
    forgery_close(&forgery);
    footprint_check(&before);
}

static void forge_register(uint32_t backend, size_t word)
{
    struct forgery forgery;
    tg_event *event = &forgery.guest.event;
    tg_regs regs = {.size = sizeof(regs)};
    forgery_open(&forgery, backend, GUEST_CODE(call_loop), GUEST_CODE(keep_writing));
    guest_run(&forgery.guest);
    const uint64_t at = victim_word(&forgery, offsetof(struct systrap_slot, other_regs) + word * sizeof(uint64_t));
    start_writing(&forgery, at, UINT64_MAX, at, 1ull << 63);
    for (size_t i = 0; i < EXCHANGES && event->kind != TG_EVENT_DEAD; i++) {
        const uint32_t what = i ? TG_EXCHANGE_ALL : TG_EXCHANGE_NOTHING;
        *event = new_event();
        CHECK_OK(BOUNDED(forgery.victim,
                         tg_context_exchange(forgery.guest.context, forgery.guest.subprocess, &regs, what, event)));
        CHECK_BYTES(&regs, tg_context_regs(forgery.guest.context), sizeof(regs));
    }
    stop_writing(&forgery);
    forgery_close(&forgery);
}

/* slot.other_regs: what comes out of an exchange goes in again, whatever a guest has made of it, and stays what it is.
 */
void hostile_forged_registers(uint32_t backend)
{
    const struct footprint before = footprint_take();
    for (size_t word = 0; word < SYSTRAP_OTHER_REGS; word++) {
        check_context("register word %zu", word);
        forge_register(backend, word);
    }
    footprint_check(&before);
}

/* To a queue of its own; it runs when this returns. */
static tg_queue *submit_waiting_victim(const struct forgery *forgery)
{
    tg_queue *queue = NULL;
    CHECK_OK(tg_queue_create(forgery->guest.platform, &queue));
    arch_set_argument(forgery->guest.context, 0, GUEST_DATA_AT);
    CHECK_OK(tg_queue_submit(queue, forgery->guest.context, forgery->guest.subprocess));
    pause_ns(SETTLE_NS);
    return queue;
}

/* slot.queued: no ring names the event. An embedder that waits often and briefly gets it all the same. */
void hostile_short_waits(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    size_t count = 0;
    forgery_open(&forgery, backend, GUEST_CODE(wait_for_word), GUEST_CODE(write_stride));
    tg_queue *queue = submit_waiting_victim(&forgery);
    start_writing(&forgery, victim_word(&forgery, offsetof(struct systrap_slot, queued)), 0, 0, 1);
    join_thread(forgery.thread);
    guest_store(forgery.guest.subprocess, GUEST_DATA_AT, 1);
    bounded_begin(forgery.other, "waits of 20 ms each");
    while (count == 0) {
        forgery.guest.event = new_event();
        CHECK_OK(tg_queue_wait(queue, &forgery.guest.event, 1, SHORT_WAIT_NS, &count));
    }
    bounded_end(forgery.other);
    CHECK(forgery.guest.event.kind == TG_EVENT_SYSCALL || forgery.guest.event.kind == TG_EVENT_DEAD);
    tg_queue_destroy(queue);
    forgery_close(&forgery);
    footprint_check(&before);
}

static void add_up(const uint64_t histogram[TG_LATENCY_BUCKETS], uint64_t *count, uint64_t *least_ns)
{
    for (int i = 0; i < TG_LATENCY_BUCKETS; i++) {
        *count += histogram[i];
        *least_ns += i ? histogram[i] << i : 0;
    }
}

/* Upper halves of slot.taken_at and slot.left_at: each handoff counts once, and all within the time that there was. */
static void forge_times(uint32_t backend, uint64_t taken_at, uint64_t left_at)
{
    struct forgery forgery;
    uint64_t resumed = 0;
    uint64_t taken = 0;
    uint64_t least_ns = 0;
    forgery_open_flags(&forgery, backend, TG_OPEN_LATENCY, GUEST_CODE(call_loop), GUEST_CODE(keep_writing));
    const int64_t start = clock_ns();
    guest_run(&forgery.guest);
    start_writing(&forgery, victim_word(&forgery, offsetof(struct systrap_slot, taken_at)) + sizeof(uint32_t), taken_at,
                  victim_word(&forgery, offsetof(struct systrap_slot, left_at)) + sizeof(uint32_t), left_at);
    for (size_t i = 1; i < CALLS; i++) {
        BOUNDED_VOID(forgery.victim, guest_run(&forgery.guest));
        CHECK_CALL(&forgery.guest.event, GUEST_CALL);
    }
    const int64_t took = clock_ns() - start;
    const tg_stats stats = platform_stats(forgery.guest.platform);
    add_up(stats.resume_latency, &resumed, &least_ns);
    add_up(stats.event_latency, &taken, &least_ns);
    CHECK_EQ(resumed, CALLS + stats.spurious_stops);
    CHECK_EQ(taken, CALLS + stats.spurious_stops);
    CHECK(least_ns <= (uint64_t)took);
    stop_writing(&forgery);
    forgery_close(&forgery);
}

void hostile_forged_times(uint32_t backend)
{
    const struct footprint before = footprint_take();
    forge_times(backend, UINT32_MAX, 0);
    forge_times(backend, 0, UINT32_MAX);
    forge_times(backend, 0, 0);
    footprint_check(&before);
}

/* One thread waits, another submits what that has got. */
struct relay {
    struct forgery *forgery;
    tg_queue *queue;
    _Atomic uint64_t taken; /* events */
    _Atomic bool over;
};

/* Without a pause, for that is the race; but where processors are few, whoever is to take it needs this one. */
static void wait_until_taken(const struct relay *relay, uint64_t events)
{
    for (unsigned looks = 1; atomic_load(&relay->taken) < events; looks++)
        if (looks % LOOKS_BEFORE_YIELD == 0)
            sched_yield();
}

static void *submit_again(void *argument)
{
    struct relay *relay = argument;
    for (uint64_t submitted = 1;; submitted++) {
        wait_until_taken(relay, submitted);
        if (atomic_load(&relay->over))
            return NULL;
        CHECK_OK(tg_queue_submit(relay->queue, relay->forgery->guest.context, relay->forgery->guest.subprocess));
    }
}

/* control.done_small names a context at every moment, also while another thread submits it: each event comes once. */
void hostile_forged_done(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    struct relay relay = {.forgery = &forgery};
    size_t count;
    forgery_open(&forgery, backend, GUEST_CODE(counting_calls), GUEST_CODE(keep_filling));
    CHECK_OK(tg_queue_create(forgery.guest.platform, &relay.queue));
    CHECK_OK(tg_queue_submit(relay.queue, forgery.guest.context, forgery.guest.subprocess));
    const pthread_t submitter = start_thread(submit_again, &relay);
    start_writing(&forgery, region_control(&forgery.region, offsetof(struct systrap_control, done_small)), 1,
                  sizeof(uint32_t), RING_SMALL);
    const int64_t end = clock_ns() + (int64_t)scaled(RELAY_MS) * 1000000;
    for (uint64_t i = 1; !atomic_load(&relay.over); i++) {
        forgery.guest.event = new_event();
        CHECK_OK(BOUNDED(forgery.other, tg_queue_wait(relay.queue, &forgery.guest.event, 1, -1, &count)));
        CHECK_EQ(count, 1);
        CHECK_CALL(&forgery.guest.event, GUEST_CALL);
        CHECK_EQ(forgery.guest.event.u.syscall.args[0], i);
        atomic_store(&relay.over, i == RELAYED || clock_ns() >= end);
        atomic_store(&relay.taken, i);
    }
    join_thread(submitter);
    stop_writing(&forgery);
    tg_queue_destroy(relay.queue);
    forgery_close(&forgery);
    footprint_check(&before);
}

/* The same, and it names nobody: a wait ends when its time is over, and an event is found. */
void hostile_forged_nonsense(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forgery forgery;
    size_t count = 0;
    forgery_open(&forgery, backend, GUEST_CODE(wait_for_word), GUEST_CODE(keep_filling));
    tg_queue *queue = submit_waiting_victim(&forgery);
    start_writing(&forgery, region_control(&forgery.region, offsetof(struct systrap_control, done_small)), NOBODY,
                  sizeof(uint32_t), RING_SMALL);
    pause_ns(SETTLE_NS);
    forgery.guest.event = new_event();
    CHECK_OK(BOUNDED(forgery.other, tg_queue_wait(queue, &forgery.guest.event, 1, SHORT_WAIT_NS, &count)));
    CHECK_EQ(count, 0);
    guest_store(forgery.guest.subprocess, GUEST_DATA_AT, 1);
    CHECK_OK(BOUNDED(forgery.other, tg_queue_wait(queue, &forgery.guest.event, 1, -1, &count)));
    CHECK_EQ(count, 1);
    CHECK(forgery.guest.event.kind == TG_EVENT_SYSCALL || forgery.guest.event.kind == TG_EVENT_DEAD);
    stop_writing(&forgery);
    tg_queue_destroy(queue);
    forgery_close(&forgery);
    footprint_check(&before);
}

/* A second queue with a context in the same subprocess: its waiter asks for whatever the ring names. */
struct asker {
    struct forgery *forgery;
    tg_queue *queue;
    _Atomic bool over;
};

static void *keep_asking(void *argument)
{
    struct asker *asker = argument;
    while (!atomic_load(&asker->over)) {
        tg_event event = new_event();
        size_t count;
        CHECK_OK(BOUNDED(asker->forgery->victim, tg_queue_wait(asker->queue, &event, 1, SHORT_WAIT_NS / 10, &count)));
        if (count)
            break;
    }
    return NULL;
}

static void asker_open(struct asker *asker, struct forgery *forgery)
{
    tg_subprocess *subprocess = forgery->guest.subprocess;
    tg_context *context = create_context(forgery->guest.platform);
    *asker = (struct asker){.forgery = forgery};
    load_code(subprocess, WRITER_AT + GUEST_CODE_SIZE, GUEST_CODE(spin));
    CHECK_OK(tg_context_start(context, WRITER_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
    CHECK_OK(tg_queue_create(forgery->guest.platform, &asker->queue));
    CHECK_OK(tg_queue_submit(asker->queue, context, subprocess));
}

/* One submit, and an event after an interrupt at the latest. False: the subprocess has not lived through it. */
static bool run_kicked(struct forgery *forgery, tg_queue *queue)
{
    size_t count = 0;
    CHECK_OK(BOUNDED(forgery->other, tg_queue_submit(queue, forgery->guest.context, forgery->guest.subprocess)));
    forgery->guest.event = new_event();
    CHECK_OK(BOUNDED(forgery->other, tg_queue_wait(queue, &forgery->guest.event, 1, SHORT_WAIT_NS, &count)));
    if (!count) {
        CHECK_OK(tg_context_interrupt(forgery->guest.context));
        CHECK_OK(BOUNDED(forgery->other, tg_queue_wait(queue, &forgery->guest.event, 1, -1, &count)));
    }
    CHECK_EQ(count, 1);
    return forgery->guest.event.kind != TG_EVENT_DEAD;
}

/*
 * slot.state and slot.signal say at every moment that the context was kicked, and control.done_small names it: it
 * leaves the guest for nothing as often as somebody looks. Nobody is kept by it, and interrupts are answered.
 */
/*
 * worker.running: what a worker runs, when another context waits for a worker for so long that the library kicks those
 * that there are. It names a slot that the stub's memory has no room for yet.
 */
void hostile_forged_running(uint32_t backend)
{
    const struct footprint before = footprint_take();
    tg_context *busy[SYSTRAP_WORKERS_MAX];
    struct forgery forgery;
    tg_event event = new_event();
    uint64_t running;
    size_t processors;
    size_t count = 0;
    tg_queue *queue;
    cpu_set_t cpus;
    CHECK_OK(sched_getaffinity(0, sizeof(cpus), &cpus));
    processors = (size_t)CPU_COUNT(&cpus) < SYSTRAP_WORKERS_MAX ? (size_t)CPU_COUNT(&cpus) : SYSTRAP_WORKERS_MAX;
    forgery_open(&forgery, backend, GUEST_CODE(call_loop), GUEST_CODE(keep_writing));
    /* The first worker alone: one that is made later would come upon it in its first signal. */
    running = region_worker(&forgery.region, 0) + offsetof(struct systrap_worker, running);
    CHECK_OK(tg_queue_create(forgery.guest.platform, &queue));
    for (size_t i = 0; i < processors; i++) {
        busy[i] = create_context(forgery.guest.platform);
        CHECK_OK(tg_context_start(busy[i], WRITER_AT, GUEST_STACK_TOP));
        for (int word = 0; word < 4; word += 2)
            arch_set_argument(busy[i], word, running);
        arch_set_argument(busy[i], 1, WITHOUT_MEMORY);
        arch_set_argument(busy[i], 4, WITHOUT_MEMORY);
        CHECK_OK(tg_queue_submit(queue, busy[i], forgery.guest.subprocess));
        /* Each waiter that sleeps makes a worker for what waits. */
        CHECK_OK(BOUNDED(forgery.other, tg_queue_wait(queue, &event, 1, SETTLE_NS, &count)));
    }
    CHECK_OK(tg_queue_submit(queue, forgery.guest.context, forgery.guest.subprocess));
    CHECK_OK(BOUNDED(forgery.other, tg_queue_wait(queue, &event, 1, -1, &count)));
    /* The caller's, or of a worker that has met what it wrote itself. */
    CHECK_EQ(count, 1);
    kill_stub(&forgery);
    BOUNDED_VOID(forgery.other, tg_queue_destroy(queue));
    for (size_t i = 0; i < processors; i++)
        BOUNDED_VOID(forgery.other, tg_context_destroy(busy[i]));
    forgery_close(&forgery);
    footprint_check(&before);
}

void hostile_forged_kicks(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const uint64_t kicked = SLOT_EVENT | (uint64_t)SIGCHLD << (8 * offsetof(struct systrap_slot, signal));
    struct forgery forgery;
    struct asker asker;
    tg_queue *queue;
    forgery_open(&forgery, backend, GUEST_CODE(counting_calls), GUEST_CODE(keep_leaving));
    CHECK_OK(tg_queue_create(forgery.guest.platform, &queue));
    CHECK(run_kicked(&forgery, queue));
    asker_open(&asker, &forgery);
    arch_set_argument(forgery.writer, 3, 1);
    start_writing(&forgery, victim_word(&forgery, offsetof(struct systrap_slot, state)), kicked,
                  region_control(&forgery.region, offsetof(struct systrap_control, done_small)), RING_SMALL - 1);
    const pthread_t thread = start_thread(keep_asking, &asker);
    for (int i = 0; i < KICK_ROUNDS && run_kicked(&forgery, queue); i++)
        bounded_note("round %d", i);
    atomic_store(&asker.over, true);
    join_thread(thread);
    stop_writing(&forgery);
    tg_queue_destroy(asker.queue);
    tg_queue_destroy(queue);
    forgery_close(&forgery);
    footprint_check(&before);
}
