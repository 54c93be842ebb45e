/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls on a queue. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"

#define FOREVER     (-1)
#define QUIET_LOOKS 20

static char not_null;

static void arguments_of_submit(struct fixture *fixture)
{
    REFUSED(fixture, -EINVAL, tg_queue_submit(NULL, fixture->context, fixture->subprocess));
    REFUSED(fixture, -EINVAL, tg_queue_submit(fixture->queue, NULL, fixture->subprocess));
    REFUSED(fixture, -EINVAL, tg_queue_submit(fixture->queue, fixture->context, NULL));
    REFUSED(fixture, -EINVAL, tg_queue_submit(fixture->queue, fixture->foreign_context, fixture->subprocess));
    REFUSED(fixture, -EINVAL, tg_queue_submit(fixture->queue, fixture->context, fixture->foreign_subprocess));
    REFUSED(fixture, -EINVAL, tg_queue_submit(fixture->foreign_queue, fixture->context, fixture->subprocess));
}

static void arguments_of_switch_or_submit(struct fixture *fixture)
{
    tg_event event = {.size = sizeof(event)};
    REFUSED(fixture, -EINVAL, tg_context_switch_or_submit(NULL, fixture->subprocess, fixture->queue, 0, &event));
    REFUSED(fixture, -EINVAL, tg_context_switch_or_submit(fixture->context, NULL, fixture->queue, 0, &event));
    REFUSED(fixture, -EINVAL, tg_context_switch_or_submit(fixture->context, fixture->subprocess, NULL, 0, &event));
    REFUSED(fixture, -EINVAL,
            tg_context_switch_or_submit(fixture->context, fixture->subprocess, fixture->queue, 0, NULL));
    REFUSED(fixture, -EINVAL,
            tg_context_switch_or_submit(fixture->foreign_context, fixture->subprocess, fixture->queue, 0, &event));
    REFUSED(fixture, -EINVAL,
            tg_context_switch_or_submit(fixture->context, fixture->foreign_subprocess, fixture->queue, 0, &event));
    REFUSED(fixture, -EINVAL,
            tg_context_switch_or_submit(fixture->context, fixture->subprocess, fixture->foreign_queue, 0, &event));
    event.size = 0;
    REFUSED(fixture, -EINVAL,
            tg_context_switch_or_submit(fixture->context, fixture->subprocess, fixture->queue, 0, &event));
}

static void arguments_of_wait(struct fixture *fixture)
{
    tg_event events[2] = {{.size = sizeof(tg_event)}, {.size = sizeof(tg_event)}};
    size_t count = 77;
    REFUSED_MUTE(fixture, -EINVAL, tg_queue_wait(NULL, events, 2, 0, &count));
    REFUSED(fixture, -EINVAL, tg_queue_wait(fixture->queue, NULL, 2, 0, &count));
    REFUSED(fixture, -EINVAL, tg_queue_wait(fixture->queue, events, 0, 0, &count));
    REFUSED(fixture, -EINVAL, tg_queue_wait(fixture->queue, events, 2, 0, NULL));
    events[0].size = 0;
    REFUSED(fixture, -EINVAL, tg_queue_wait(fixture->queue, events, 2, 0, &count));
    events[0].size = sizeof(tg_event);
    HOLDS(fixture, tg_queue_wait(fixture->queue, events, 2, 0, &count) == 0 && count == 0);
}

/* A refused wait must not eat the event. */
static void event_outlives_refused_waits(struct fixture *fixture)
{
    tg_event event = {.size = 0};
    tg_context *context = NULL;
    size_t count = 77;
    HOLDS(fixture, tg_context_create(fixture->platform, &context) == 0);
    HOLDS(fixture, tg_context_start(context, CODE_ADDRESS, DATA_ADDRESS) == 0);
    HOLDS(fixture, tg_queue_submit(fixture->queue, context, fixture->subprocess) == 0);
    HOLDS(fixture, tg_queue_submit(fixture->queue, context, fixture->subprocess) == -EBUSY);
    HOLDS(fixture, tg_queue_wait(fixture->queue, &event, 1, FOREVER, &count) == -EINVAL);
    HOLDS(fixture, tg_queue_wait(fixture->queue, NULL, 1, FOREVER, &count) == -EINVAL);
    event.size = sizeof(event);
    HOLDS(fixture, tg_queue_wait(fixture->queue, &event, 1, FOREVER, &count) == 0 && count == 1);
    HOLDS(fixture, event.kind == TG_EVENT_SYSCALL && event.context == context);
    tg_context_destroy(context);
}

struct waiter {
    tg_queue *queue;
    _Atomic int32_t tid; /* set when it is about to wait */
    int result;
    tg_event event;
    size_t count;
};

static void *wait_forever(void *argument)
{
    struct waiter *waiter = argument;
    waiter->tid = gettid();
    waiter->result = tg_queue_wait(waiter->queue, &waiter->event, 1, FOREVER, &waiter->count);
    return NULL;
}

static bool is_asleep(int32_t tid)
{
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "re");
    if (file) {
        (void)!fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
    }
    const char *behind_name = strrchr(text, ')');
    return behind_name && behind_name[1] == ' ' && behind_name[2] == 'S';
}

static uint64_t stub_threads(const struct fixture *fixture)
{
    tg_stats stats = {.size = sizeof(stats)};
    MUST(fixture->platform, tg_platform_stats(fixture->platform, &stats));
    return stats.stub_threads;
}

/*
 * The context may run before anybody waits, and on its way to its wait the
 * thread may make stub threads, for which it sleeps too.
 */
static void wait_until_settled(const struct fixture *fixture, const struct waiter *waiter)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t before = 0;
    for (int quiet = 0; quiet < QUIET_LOOKS;) {
        const uint64_t now = stub_threads(fixture);
        nanosleep(&pause, NULL);
        quiet = now == before && waiter->tid != 0 && is_asleep(waiter->tid) ? quiet + 1 : 0;
        before = now;
    }
}

/* While one thread waits and a context runs, nobody else gets in. The queue is new: nobody has waited on it before. */
static void second_waiter(struct fixture *fixture)
{
    tg_queue *queue = NULL;
    HOLDS(fixture, tg_queue_create(fixture->platform, &queue) == 0);
    struct waiter waiter = {.queue = queue, .event = {.size = sizeof(tg_event)}};
    tg_event event = {.size = sizeof(event)};
    tg_context *context = NULL;
    pthread_t thread;
    size_t count = 0;
    HOLDS(fixture, tg_context_create(fixture->platform, &context) == 0);
    spinner_prepare(fixture, context, fixture->subprocess);
    HOLDS(fixture, tg_queue_submit(queue, context, fixture->subprocess) == 0);
    HOLDS(fixture, pthread_create(&thread, NULL, wait_forever, &waiter) == 0);
    spinner_wait_until_running(fixture, fixture->subprocess);
    wait_until_settled(fixture, &waiter);

    REFUSED(fixture, -EBUSY, tg_queue_wait(queue, &event, 1, 0, &count));
    REFUSED(fixture, -EBUSY, tg_queue_fd(queue));
    REFUSED(fixture, -EBUSY, tg_context_switch(context, fixture->subprocess, &event));
    REFUSED(fixture, -EBUSY, tg_context_start(context, CODE_ADDRESS, DATA_ADDRESS));

    HOLDS(fixture, tg_context_interrupt(context) == 0);
    HOLDS(fixture, pthread_join(thread, NULL) == 0);
    HOLDS(fixture, waiter.result == 0 && waiter.count == 1 && waiter.event.kind == TG_EVENT_INTERRUPTED);
    tg_queue_destroy(queue);
    tg_context_destroy(context);
}

void arguments_of_queue(struct fixture *fixture)
{
    tg_queue *out = (tg_queue *)&not_null;
    REFUSED_MUTE(fixture, -EINVAL, tg_queue_create(NULL, &out));
    HOLDS(fixture, out == NULL);
    REFUSED(fixture, -EINVAL, tg_queue_create(fixture->platform, NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_queue_wake(NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_queue_fd(NULL));
    tg_queue_destroy(NULL);
    arguments_of_submit(fixture);
    arguments_of_switch_or_submit(fixture);
    arguments_of_wait(fixture);
    event_outlives_refused_waits(fixture);
    second_waiter(fixture);
}
