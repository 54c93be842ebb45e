/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What Go is measured against: the same work in C. */
#include "loops.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <trapgate/trapgate.h>

#define CODE_AT        0x10000
#define PAGE           4096
#define EVENTS_AT_ONCE 64

/* x86-64: mov $39, %eax; syscall; jmp to the start */
static const unsigned char call_loop[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};

struct loops {
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_queue *queue;
    tg_context *contexts[MOST_CONTEXTS];
    uint32_t count;
    char error[160];
};

const char *loops_error(const struct loops *loops)
{
    return loops->error;
}

static double failed(struct loops *loops, int result, const tg_event *event)
{
    if (result)
        snprintf(loops->error, sizeof(loops->error), "%s", tg_platform_last_error(loops->platform));
    else
        snprintf(loops->error, sizeof(loops->error), "event of kind %u, reason %d, status %d", event->kind,
                 event->u.dead.reason, event->u.dead.status);
    return -1;
}

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static bool set_up(struct loops *loops, uint32_t backend)
{
    const tg_platform_options options = {.size = sizeof(options), .backend = backend};

    if (tg_platform_open(&options, &loops->platform) || tg_subprocess_create(loops->platform, &loops->subprocess) ||
        tg_subprocess_map(loops->subprocess, CODE_AT, PAGE, TG_PROT_READ | TG_PROT_WRITE | TG_PROT_EXEC, 0, -1, 0) ||
        tg_subprocess_write(loops->subprocess, CODE_AT, call_loop, sizeof(call_loop), NULL) ||
        tg_subprocess_protect(loops->subprocess, CODE_AT, PAGE, TG_PROT_READ | TG_PROT_EXEC) ||
        tg_queue_create(loops->platform, &loops->queue))
        return false;
    for (uint32_t i = 0; i < loops->count; i++) {
        if (tg_context_create(loops->platform, &loops->contexts[i]) || tg_context_start(loops->contexts[i], CODE_AT, 0))
            return false;
    }
    return true;
}

struct loops *loops_open(uint32_t backend, uint32_t contexts)
{
    struct loops *loops = calloc(1, sizeof(*loops));

    if (!loops)
        return NULL;
    loops->count = contexts;
    if (!set_up(loops, backend)) {
        loops_close(loops);
        return NULL;
    }
    return loops;
}

void loops_close(struct loops *loops)
{
    tg_platform_close(loops->platform);
    free(loops);
}

double loops_switch(struct loops *loops, uint64_t count)
{
    tg_event event = {.size = sizeof(event)};
    double start = now_ns();

    for (uint64_t i = 0; i < count; i++) {
        int result = tg_context_switch(loops->contexts[0], loops->subprocess, &event);

        if (result || event.kind != TG_EVENT_SYSCALL)
            return failed(loops, result, &event);
    }
    return now_ns() - start;
}

struct switcher {
    const struct loops *loops;
    tg_context *context;
    uint64_t count;
    pthread_t thread;
    bool failed;
};

static void *keep_switching(void *argument)
{
    struct switcher *switcher = argument;
    tg_event event = {.size = sizeof(event)};

    for (uint64_t i = 0; i < switcher->count && !switcher->failed; i++)
        switcher->failed = tg_context_switch(switcher->context, switcher->loops->subprocess, &event) ||
                           event.kind != TG_EVENT_SYSCALL || tg_context_set_return(switcher->context, 0);
    return NULL;
}

double loops_threads(struct loops *loops, uint64_t count)
{
    struct switcher switchers[MOST_CONTEXTS];
    double start = now_ns();
    bool failed = false;
    uint32_t started = 0;

    for (; started < loops->count; started++) {
        switchers[started] = (struct switcher){loops, loops->contexts[started], count / loops->count, 0, false};
        if (pthread_create(&switchers[started].thread, NULL, keep_switching, &switchers[started]))
            break;
    }
    failed = started < loops->count;
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(switchers[i].thread, NULL);
        failed = failed || switchers[i].failed;
    }
    if (failed)
        snprintf(loops->error, sizeof(loops->error), "a thread could not be made, or its switches failed");
    return failed ? -1 : now_ns() - start;
}

double loops_queue(struct loops *loops, uint64_t count)
{
    tg_event events[EVENTS_AT_ONCE];
    uint64_t left = count;
    uint32_t running = 0;
    double start = now_ns();

    for (int i = 0; i < EVENTS_AT_ONCE; i++)
        events[i].size = sizeof(events[i]);
    while (running < loops->count) {
        if (tg_queue_submit(loops->queue, loops->contexts[running++], loops->subprocess))
            return failed(loops, -1, NULL);
    }
    while (running > 0) {
        size_t found = 0;

        if (tg_queue_wait(loops->queue, events, EVENTS_AT_ONCE, -1, &found))
            return failed(loops, -1, NULL);
        for (size_t i = 0; i < found; i++) {
            if (events[i].kind != TG_EVENT_SYSCALL)
                return failed(loops, 0, &events[i]);
            left -= left > 0;
            if (left < loops->count)
                running--;
            else if (tg_context_set_return(events[i].context, 0) ||
                     tg_queue_submit(loops->queue, events[i].context, loops->subprocess))
                return failed(loops, -1, NULL);
        }
    }
    return now_ns() - start;
}
