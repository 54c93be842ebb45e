/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A submit that went in through a subprocess's door before destroy shut it, and
 * that comes to the queue after destroy has looked there: destroy waits for
 * it, so it must not wait for somebody who takes its event. The moment between
 * cannot be chosen through the ABI.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/backend.h"

#define SOON_S      10
#define LOOK_NS     1000000
#define GET_PAST_NS 50000000 /* destroy is where it waits for visitors, most probably; else the test shows less */

static struct tg_platform *platform;
static struct tg_subprocess *subprocess;

static void *destroy(void *arg)
{
    subprocess_destroy(subprocess);
    return arg;
}

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static bool ends_soon(pthread_t thread)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON_S;
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

static void take_dead_event(struct tg_queue *queue, const struct tg_context *context)
{
    struct tg_event event = {.size = sizeof(event)};
    size_t n = 0;

    assert_int_equal(platform->ops->queue_wait(queue, &event, sizeof(event), 1, INT64_C(10000000000), &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(event.kind, TG_EVENT_DEAD);
    assert_int_equal(event.u.dead.reason, TG_DEAD_DESTROYED);
    assert_ptr_equal(event.context, context);
}

static void submit_late(uint32_t backend)
{
    const struct tg_platform_options options = {.size = sizeof(options), .backend = backend};
    struct tg_context *context;
    struct tg_queue *queue;
    pthread_t thread;

    assert_int_equal(platform_open(&options, &platform), 0);
    assert_int_equal(subprocess_create(platform, NULL, &subprocess), 0);
    assert_int_equal(context_create(platform, &context), 0);
    assert_int_equal(queue_create(platform, &queue), 0);
    assert_true(context_take(context));
    assert_true(subprocess_enter(subprocess));
    assert_int_equal(pthread_create(&thread, NULL, destroy, NULL), 0);
    while (!subprocess_is_shut(subprocess))
        pause_ns(LOOK_NS);
    pause_ns(GET_PAST_NS);
    assert_int_equal(platform->ops->queue_submit(queue, context, subprocess), 0);
    /* Nobody waits on the queue. */
    assert_true(ends_soon(thread));
    take_dead_event(queue, context);
    assert_false(context_is_running(context));
    queue_destroy(queue);
    context_destroy(context);
    platform_close(platform);
}

static void on_ptrace(void **state)
{
    (void)state;
    submit_late(TG_BACKEND_PTRACE);
}

static void on_systrap(void **state)
{
    (void)state;
    submit_late(TG_BACKEND_SYSTRAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_ptrace), cmocka_unit_test(on_systrap)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
