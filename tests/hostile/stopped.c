/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stubs that somebody has stopped: who needs something of theirs waits until
 * they go on, and who only wants to be rid of something does not wait for
 * ever. The library's rounds are short here: hostile_rounds.
 */
#include <signal.h>
#include <stdlib.h>

#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "proc.h"
#include "threads.h"

#define LONG_NS    (50 * SHORT_ROUND_NS) /* more than a stub is given that could run */
#define BRIEFLY_NS (5 * SHORT_ROUND_NS)  /* less than a queue that is destroyed gives one that is stopped */
#define SETTLE_NS  50000000

struct stopped {
    struct guest guest;
    struct bounded *user;
    struct bounded *other;
    void *fp;
    size_t fp_size;
    tg_queue *queue;
};

static void stopped_open(struct stopped *stopped, uint32_t backend, struct guest_code code)
{
    if (backend == TG_BACKEND_PTRACE)
        SKIP("signals for a traced thread go to its tracer, which drops them");
    guest_open(&stopped->guest, backend, code);
    stopped->user = bounded_new("the thread that needs the stub");
    stopped->other = bounded_new("the main thread");
    stopped->fp_size = platform_info(stopped->guest.platform).fpstate_size;
    stopped->fp = malloc(stopped->fp_size);
    stopped->queue = NULL;
    CHECK(stopped->fp != NULL);
}

static void stopped_close(struct stopped *stopped)
{
    BOUNDED_VOID(stopped->other, tg_subprocess_destroy(stopped->guest.subprocess));
    BOUNDED_VOID(stopped->other, tg_context_destroy(stopped->guest.context));
    BOUNDED_VOID(stopped->other, tg_platform_close(stopped->guest.platform));
    free(stopped->fp);
}

/* A process is stopped when the last of its threads is: until then one of them can still begin what none would end. */
static void stop(const struct stopped *stopped)
{
    const pid_t pid = tg_subprocess_pid(stopped->guest.subprocess);
    CHECK_SYSTEM(kill(pid, SIGSTOP));
    while (proc_threads_not(pid, 'T') != 0)
        pause_ns(SHORT_ROUND_NS);
}

static void go_on(const struct stopped *stopped)
{
    CHECK_SYSTEM(kill(tg_subprocess_pid(stopped->guest.subprocess), SIGCONT));
}

static void *get_state(void *argument)
{
    struct stopped *stopped = argument;
    CHECK_OK(BOUNDED(stopped->user, tg_context_get_fpstate(stopped->guest.context, stopped->fp, stopped->fp_size)));
    return NULL;
}

static void *run_on(void *argument)
{
    struct stopped *stopped = argument;
    BOUNDED_VOID(stopped->user, guest_run(&stopped->guest));
    return NULL;
}

/* While the stub is stopped, and for long. */
static void wait_stopped(struct stopped *stopped, void *(*operation)(void *))
{
    stop(stopped);
    const pthread_t thread = start_thread(operation, stopped);
    pause_ns(LONG_NS);
    CHECK(bounded_ns(stopped->user) != 0);
    go_on(stopped);
    join_thread(thread);
}

/* The worker holds the context: first its FP state is wanted, then it is to forget that for another. */
void hostile_stopped_operations(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&stopped.guest);
    wait_stopped(&stopped, get_state);
    GUEST_RUN_TO_CALL(&stopped.guest);
    CHECK_OK(tg_context_set_fpstate(stopped.guest.context, stopped.fp, stopped.fp_size));
    wait_stopped(&stopped, run_on);
    CHECK_CALL(&stopped.guest.event, GUEST_CALL);
    GUEST_RUN_TO_CALL(&stopped.guest);
    stopped_close(&stopped);
    footprint_check(&before);
}

static void *destroy_queue(void *argument)
{
    struct stopped *stopped = argument;
    BOUNDED_VOID(stopped->user, tg_queue_destroy(stopped->queue));
    return NULL;
}

/* Its context computes and cannot be made to leave. */
static void submit_and_stop(struct stopped *stopped)
{
    tg_event event = new_event();
    size_t count = 0;
    CHECK_OK(tg_queue_create(stopped->guest.platform, &stopped->queue));
    CHECK_OK(tg_queue_submit(stopped->queue, stopped->guest.context, stopped->guest.subprocess));
    CHECK_OK(tg_queue_wait(stopped->queue, &event, 1, SETTLE_NS, &count));
    CHECK_EQ(count, 0);
    stop(stopped);
}

/* Destroying a queue ends: without harm if the stub goes on soon, and without the stub if it does not. */
void hostile_stopped_queue(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(spin));
    submit_and_stop(&stopped);
    const pthread_t thread = start_thread(destroy_queue, &stopped);
    pause_ns(BRIEFLY_NS);
    go_on(&stopped);
    join_thread(thread);
    CHECK(tg_subprocess_pid(stopped.guest.subprocess) != 0);
    submit_and_stop(&stopped);
    destroy_queue(&stopped);
    guest_run(&stopped.guest);
    CHECK_DEAD(&stopped.guest.event, TG_DEAD_CORRUPT, 0);
    stopped_close(&stopped);
    footprint_check(&before);
}

/* Nobody needs what the worker holds: it lets go of that when it goes on, and the others in the stub live. */
void hostile_stopped_context(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    tg_event event;
    stopped_open(&stopped, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&stopped.guest);
    tg_context *held = create_started_context(stopped.guest.platform);
    run_context(held, stopped.guest.subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
    stop(&stopped);
    BOUNDED_VOID(stopped.other, tg_context_destroy(held));
    go_on(&stopped);
    GUEST_RUN_TO_CALL(&stopped.guest);
    stopped_close(&stopped);
    footprint_check(&before);
}

/* The state that the worker holds comes along all the same: it is where the worker has left it. */
void hostile_stopped_subprocess(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&stopped.guest);
    stop(&stopped);
    BOUNDED_VOID(stopped.other, tg_subprocess_destroy(stopped.guest.subprocess));
    stopped.guest.subprocess = create_loaded_subprocess(stopped.guest.platform, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&stopped.guest);
    stopped_close(&stopped);
    footprint_check(&before);
}

/* A context that is wanted elsewhere is not kept for ever either. */
void hostile_stopped_elsewhere(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&stopped.guest);
    stop(&stopped);
    tg_subprocess *left = stopped.guest.subprocess;
    stopped.guest.subprocess = create_loaded_subprocess(stopped.guest.platform, GUEST_CODE(call_loop));
    run_on(&stopped);
    CHECK_CALL(&stopped.guest.event, GUEST_CALL);
    BOUNDED_VOID(stopped.other, tg_subprocess_destroy(left));
    stopped_close(&stopped);
    footprint_check(&before);
}

/* It computes and has an interrupt to answer, and nobody could read why it does not. */
void hostile_stopped_without_proc(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(spin_counting));
    arch_set_argument(stopped.guest.context, 0, GUEST_DATA_AT);
    const pthread_t thread = start_thread(run_on, &stopped);
    guest_wait_change(stopped.guest.subprocess, GUEST_DATA_AT, 0);
    stop(&stopped);
    const int root = proc_leave();
    CHECK_OK(tg_context_interrupt(stopped.guest.context));
    pause_ns(LONG_NS);
    CHECK(bounded_ns(stopped.user) != 0);
    go_on(&stopped);
    join_thread(thread);
    CHECK_KIND(&stopped.guest.event, TG_EVENT_INTERRUPTED);
    stopped_close(&stopped);
    proc_return(root);
    footprint_check(&before);
}

/* ---- who looks for events: a stub that is stopped has none, and keeps nobody ---- */

static const size_t hot = 4; /* calls from one place that make the library look at it: its patches.c */

static size_t look_once(struct stopped *stopped, tg_event *event, int64_t timeout_ns)
{
    size_t count = 0;
    CHECK_OK(BOUNDED(stopped->user, tg_queue_wait(stopped->queue, event, 1, timeout_ns, &count)));
    return count;
}

static void check_stopped(const struct stopped *stopped)
{
    CHECK_EQ(proc_state(tg_subprocess_pid(stopped->guest.subprocess)), 'T');
}

/* Its one worker computes, for nobody has waited yet, and a second context waits for another. */
static tg_context *stop_with_backlog(struct stopped *stopped)
{
    CHECK_OK(tg_queue_create(stopped->guest.platform, &stopped->queue));
    arch_set_argument(stopped->guest.context, 0, GUEST_DATA_AT);
    CHECK_OK(tg_queue_submit(stopped->queue, stopped->guest.context, stopped->guest.subprocess));
    guest_wait_change(stopped->guest.subprocess, GUEST_DATA_AT, 0);
    stop(stopped);
    tg_context *waiting = create_started_context(stopped->guest.platform);
    arch_set_argument(waiting, 0, GUEST_DATA_AT);
    CHECK_OK(BOUNDED(stopped->user, tg_queue_submit(stopped->queue, waiting, stopped->guest.subprocess)));
    return waiting;
}

static void interrupt_both(struct stopped *stopped, tg_context *waiting)
{
    tg_event event = new_event();
    CHECK_OK(tg_context_interrupt(stopped->guest.context));
    CHECK_OK(tg_context_interrupt(waiting));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(look_once(stopped, &event, -1), 1);
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    }
    destroy_queue(stopped);
    tg_context_destroy(waiting);
}

/* A wait for events is as long as its caller says, and hears of what happens in other stubs. */
void hostile_stopped_backlog(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    tg_event event = new_event();
    stopped_open(&stopped, backend, GUEST_CODE(spin_counting));
    tg_context *waiting = stop_with_backlog(&stopped);
    CHECK_EQ(look_once(&stopped, &event, 0), 0);
    CHECK_EQ(look_once(&stopped, &event, LONG_NS), 0);
    tg_subprocess *lively = create_loaded_subprocess(stopped.guest.platform, GUEST_CODE(call_loop));
    tg_context *calling = create_started_context(stopped.guest.platform);
    CHECK_OK(tg_queue_submit(stopped.queue, calling, lively));
    CHECK_EQ(look_once(&stopped, &event, -1), 1);
    CHECK_CALL(&event, GUEST_CALL);
    check_stopped(&stopped);
    go_on(&stopped);
    interrupt_both(&stopped, waiting);
    tg_context_destroy(calling);
    BOUNDED_VOID(stopped.other, tg_subprocess_destroy(lively));
    stopped_close(&stopped);
    footprint_check(&before);
}

/* The thread that serves a descriptor is one of these: it hears when the queue ends. */
void hostile_stopped_backlog_served(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    tg_event event = new_event();
    stopped_open(&stopped, backend, GUEST_CODE(spin_counting));
    tg_context *waiting = stop_with_backlog(&stopped);
    CHECK(tg_queue_fd(stopped.queue) >= 0);
    CHECK_EQ(look_once(&stopped, &event, LONG_NS), 0);
    destroy_queue(&stopped);
    guest_run(&stopped.guest);
    CHECK_DEAD(&stopped.guest.event, TG_DEAD_CORRUPT, 0);
    tg_context_destroy(waiting);
    stopped_close(&stopped);
    footprint_check(&before);
}

/* Nor does a queue that goes wait for a worker of a stub that is stopped. */
void hostile_stopped_backlog_left(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(spin_counting));
    tg_context *waiting = stop_with_backlog(&stopped);
    destroy_queue(&stopped);
    guest_run(&stopped.guest);
    CHECK_DEAD(&stopped.guest.event, TG_DEAD_CORRUPT, 0);
    tg_context_destroy(waiting);
    stopped_close(&stopped);
    footprint_check(&before);
}

/* Far fewer than contexts: once in a round each worker may be, however many wait for them. */
#define WAKES_OF_A_ROUND 8

/* Whoever looks after contexts that do not move rouses the workers, once for all of them. */
void hostile_stopped_backlog_long(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    tg_event event = new_event();
    tg_context *contexts[64];
    stopped_open(&stopped, backend, GUEST_CODE(spin_counting));
    tg_context *waiting = stop_with_backlog(&stopped);
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++) {
        contexts[i] = create_started_context(stopped.guest.platform);
        CHECK_OK(BOUNDED(stopped.user, tg_queue_submit(stopped.queue, contexts[i], stopped.guest.subprocess)));
    }
    CHECK_EQ(look_once(&stopped, &event, 2 * SHORT_ROUND_NS), 0);
    const int64_t start = clock_ns();
    const uint64_t wakes = platform_stats(stopped.guest.platform).futex_wakes;
    CHECK_EQ(look_once(&stopped, &event, LONG_NS), 0);
    const uint64_t rounds = (uint64_t)((clock_ns() - start) / SHORT_ROUND_NS);
    CHECK(platform_stats(stopped.guest.platform).futex_wakes - wakes < rounds * WAKES_OF_A_ROUND);
    destroy_queue(&stopped);
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
        tg_context_destroy(contexts[i]);
    tg_context_destroy(waiting);
    stopped_close(&stopped);
    footprint_check(&before);
}

static void *unmap_hole(void *argument)
{
    struct stopped *stopped = argument;
    CHECK_OK(BOUNDED(stopped->other, tg_subprocess_unmap(stopped->guest.subprocess, GUEST_HOLE_AT, GUEST_DATA_SIZE)));
    return NULL;
}

/* Somebody else needs the stub and waits: that is his wait alone. */
void hostile_stopped_backlog_needed(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    tg_event event = new_event();
    stopped_open(&stopped, backend, GUEST_CODE(spin_counting));
    tg_context *waiting = stop_with_backlog(&stopped);
    const pthread_t thread = start_thread(unmap_hole, &stopped);
    while (bounded_ns(stopped.other) < BRIEFLY_NS)
        pause_ns(SHORT_ROUND_NS);
    CHECK_EQ(look_once(&stopped, &event, 0), 0);
    CHECK_EQ(look_once(&stopped, &event, LONG_NS), 0);
    check_stopped(&stopped);
    CHECK(bounded_ns(stopped.other) != 0);
    go_on(&stopped);
    join_thread(thread);
    interrupt_both(&stopped, waiting);
    stopped_close(&stopped);
    footprint_check(&before);
}

static void call_on_queue(struct stopped *stopped)
{
    tg_event event = new_event();
    CHECK_OK(tg_queue_submit(stopped->queue, stopped->guest.context, stopped->guest.subprocess));
    CHECK_EQ(look_once(stopped, &event, -1), 1);
    CHECK_CALL(&event, GUEST_CALL);
}

/* With the event of a call that is worth a patch still to be found. */
static void stop_with_hot_call(struct stopped *stopped)
{
    const pid_t pid = tg_subprocess_pid(stopped->guest.subprocess);
    CHECK_OK(tg_queue_create(stopped->guest.platform, &stopped->queue));
    arch_set_argument(stopped->guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(stopped->guest.context, 1, 1);
    for (size_t i = 1; i < hot; i++)
        call_on_queue(stopped);
    guest_store(stopped->guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_OK(tg_queue_submit(stopped->queue, stopped->guest.context, stopped->guest.subprocess));
    guest_wait_change(stopped->guest.subprocess, GUEST_DATA_AT, 0);
    /* What they ran has left its event. */
    while (proc_threads_not(pid, 'S') != 0)
        pause_ns(SHORT_ROUND_NS);
    CHECK_EQ(platform_stats(stopped->guest.platform).patch_sites, 0);
    stop(stopped);
}

/* An event that is there is handed out. Its call is patched another time. */
void hostile_stopped_hot_call(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    tg_event event = new_event();
    stopped_open(&stopped, backend, GUEST_CODE(write_calls));
    stop_with_hot_call(&stopped);
    CHECK_EQ(look_once(&stopped, &event, 0), 1);
    CHECK_CALL(&event, GUEST_CALL);
    check_stopped(&stopped);
    CHECK_EQ(platform_stats(stopped.guest.platform).patch_sites, 0);
    go_on(&stopped);
    while (proc_state(tg_subprocess_pid(stopped.guest.subprocess)) == 'T')
        pause_ns(SHORT_ROUND_NS);
    call_on_queue(&stopped);
    CHECK_EQ(platform_stats(stopped.guest.platform).patch_sites, 1);
    destroy_queue(&stopped);
    stopped_close(&stopped);
    footprint_check(&before);
}

/* Nobody finds it before its queue goes, which harms nobody: the call is made again. */
void hostile_stopped_hot_call_left(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct stopped stopped;
    stopped_open(&stopped, backend, GUEST_CODE(write_calls));
    stop_with_hot_call(&stopped);
    destroy_queue(&stopped);
    check_stopped(&stopped);
    go_on(&stopped);
    GUEST_RUN_TO_CALL(&stopped.guest);
    stopped_close(&stopped);
    footprint_check(&before);
}
