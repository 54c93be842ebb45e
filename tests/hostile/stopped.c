/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stubs that somebody has stopped: who needs something of theirs waits until
 * they go on, and who only wants to be rid of something does not wait for
 * ever. The library's rounds are short here: hostile_rounds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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

static void stop(const struct stopped *stopped)
{
    const pid_t pid = tg_subprocess_pid(stopped->guest.subprocess);
    CHECK_SYSTEM(kill(pid, SIGSTOP));
    while (proc_state(pid) != 'T')
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
