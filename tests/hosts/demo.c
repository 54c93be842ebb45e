/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* An embedder as a user would write it: no check ends it, for in some environments calls are refused. */
#include "hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest.h"

#define SWITCHES        200 /* enough for patched calls */
#define DESCRIPTORS_MAX 256
#define STANDARD        3
#define EVENT_S         5 /* for one event, which takes microseconds */

extern const unsigned char arguments_guest[];
extern const unsigned char arguments_guest_end[];

struct demo {
    struct outcome *outcome;
    bool open_at_start[STANDARD];
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_subprocess *copy;
    tg_context *context;
    tg_queue *queue;
    tg_event event;
};

static void note_wrong(struct demo *demo, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note_wrong(struct demo *demo, const char *format, ...)
{
    va_list args;

    if (demo->outcome->wrong[0])
        return;
    va_start(args, format);
    vsnprintf(demo->outcome->wrong, TEXT_SIZE, format, args);
    va_end(args);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static size_t count_descriptors(void)
{
    size_t n = 0;

    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        n += is_open(fd);
    return n;
}

/* What this program prints must never go to something of the library's. */
static void check_standard_streams(struct demo *demo, const char *when)
{
    for (int fd = 0; fd < STANDARD; fd++)
        if (is_open(fd) != demo->open_at_start[fd])
            note_wrong(demo, "%s: descriptor %d was %s", when, fd, demo->open_at_start[fd] ? "closed" : "taken");
}

/* ---- what it does, each 0 or an error of the library ---- */

static int make_subprocess(struct demo *demo)
{
    return tg_subprocess_create(demo->platform, &demo->subprocess);
}

static int load_guest(struct demo *demo)
{
    const size_t length = (size_t)(arguments_guest_end - arguments_guest);
    size_t done = 0;
    int err = tg_subprocess_map(demo->subprocess, GUEST_CODE_AT, GUEST_CODE_SIZE, PROT_RW, 0, -1, 0);

    if (!err)
        err = tg_subprocess_write(demo->subprocess, GUEST_CODE_AT, arguments_guest, length, &done);
    return err ? err : tg_subprocess_protect(demo->subprocess, GUEST_CODE_AT, GUEST_CODE_SIZE, PROT_RX);
}

static int make_context(struct demo *demo)
{
    int err = tg_context_create(demo->platform, &demo->context);

    return err ? err : tg_context_start(demo->context, GUEST_CODE_AT, GUEST_STACK_TOP);
}

static int expect(struct demo *demo, uint32_t kind)
{
    if (demo->event.kind == kind)
        return 0;
    if (demo->event.kind == TG_EVENT_DEAD)
        note_wrong(demo, "the subprocess died: reason %d, status %d", demo->event.u.dead.reason,
                   demo->event.u.dead.status);
    else
        note_wrong(demo, "an event of kind %u instead of %u", demo->event.kind, kind);
    return -EIO;
}

static int switch_in(struct demo *demo, tg_subprocess *subprocess, uint32_t kind)
{
    int err;

    demo->event = new_event();
    err = tg_context_switch(demo->context, subprocess, &demo->event);
    return err ? err : expect(demo, kind);
}

static int make_calls(struct demo *demo)
{
    int err = 0;

    for (int i = 0; i < SWITCHES && !err; i++)
        err = switch_in(demo, demo->subprocess, TG_EVENT_SYSCALL);
    return err;
}

static int interrupt(struct demo *demo)
{
    int err = tg_context_interrupt(demo->context);

    return err ? err : switch_in(demo, demo->subprocess, TG_EVENT_INTERRUPTED);
}

static int fork_and_switch(struct demo *demo)
{
    int err = tg_subprocess_fork(demo->subprocess, &demo->copy);

    return err ? err : switch_in(demo, demo->copy, TG_EVENT_SYSCALL);
}

static int read_back(struct demo *demo)
{
    unsigned char byte = 0;
    int err = tg_subprocess_read(demo->subprocess, GUEST_CODE_AT + 2, &byte, 1, NULL);

    return err;
}

/* Whatever the embedder's personality makes of its own memory. */
static int run_writable_memory(struct demo *demo)
{
    const size_t length = (size_t)(arguments_guest_end - arguments_guest);
    int err = tg_subprocess_map(demo->subprocess, GUEST_DATA_AT, GUEST_CODE_SIZE, PROT_RW, 0, -1, 0);

    if (!err)
        err = tg_subprocess_write(demo->subprocess, GUEST_DATA_AT, arguments_guest, length, NULL);
    if (!err)
        err = tg_context_start(demo->context, GUEST_DATA_AT, GUEST_STACK_TOP);
    if (!err)
        err = switch_in(demo, demo->subprocess, TG_EVENT_FAULT);
    return err ? err : tg_context_start(demo->context, GUEST_CODE_AT, GUEST_STACK_TOP);
}

/* A guest may compute for ever, so it does not do so before everybody else. */
static int look_at_scheduling(struct demo *demo)
{
    int policy = sched_getscheduler(tg_subprocess_pid(demo->subprocess));

    if (policy == SCHED_FIFO || policy == SCHED_RR)
        note_wrong(demo, "the stub runs in real time");
    return 0;
}

static int submit_and_wait(struct demo *demo)
{
    size_t count = 0;
    int err = tg_queue_submit(demo->queue, demo->context, demo->subprocess);

    demo->event = new_event();
    if (!err)
        err = tg_queue_wait(demo->queue, &demo->event, 1, -1, &count);
    if (!err && count != 1)
        note_wrong(demo, "a wait without end gave %zu events", count);
    return err ? err : expect(demo, TG_EVENT_SYSCALL);
}

static int use_queue(struct demo *demo)
{
    int err = tg_queue_create(demo->platform, &demo->queue);

    return err ? err : submit_and_wait(demo);
}

static int use_queue_descriptor(struct demo *demo)
{
    const struct timespec limit = {.tv_sec = EVENT_S};
    struct pollfd poll_fd = {.events = POLLIN};
    size_t count = 0;
    int ready;
    int err;

    poll_fd.fd = tg_queue_fd(demo->queue);
    if (poll_fd.fd < 0)
        return poll_fd.fd;
    err = tg_queue_submit(demo->queue, demo->context, demo->subprocess);
    if (err)
        return err;
    /* The queue's thread tries again and again where the host refuses it a stub thread, and has nobody to tell. */
    demo->event = new_event();
    ready = ppoll(&poll_fd, 1, &limit, NULL);
    /* Where this program may not wait for descriptors, the library waits without. */
    err = tg_queue_wait(demo->queue, &demo->event, 1, ready < 0 ? EVENT_S * INT64_C(1000000000) : 0, &count);
    if (!err && !count) {
        snprintf(demo->outcome->failed, TEXT_SIZE, "a thread of the library waits for another thread");
        return -EAGAIN;
    }
    return err ? err : expect(demo, TG_EVENT_SYSCALL);
}

static const struct step {
    const char *name;
    int (*run)(struct demo *demo);
} steps[] = {
    {"create a subprocess", make_subprocess},
    {"load the guest", load_guest},
    {"create a context", make_context},
    {"switch", make_calls},
    {"interrupt", interrupt},
    {"fork", fork_and_switch},
    {"read", read_back},
    {"run writable memory", run_writable_memory},
    {"look at scheduling", look_at_scheduling},
    {"use a queue", use_queue},
    {"use a queue's descriptor", use_queue_descriptor},
};

static void take_steps(struct demo *demo)
{
    struct outcome *outcome = demo->outcome;

    for (size_t i = 0; i < ARRAY_SIZE(steps) && !outcome->result; i++) {
        outcome->result = steps[i].run(demo);
        if (outcome->result && !outcome->failed[0])
            snprintf(outcome->failed, TEXT_SIZE, "%s: %s", steps[i].name, tg_platform_last_error(demo->platform));
        check_standard_streams(demo, steps[i].name);
    }
    tg_queue_destroy(demo->queue);
    tg_context_destroy(demo->context);
    tg_subprocess_destroy(demo->copy);
    tg_subprocess_destroy(demo->subprocess);
}

static void open_and_use(struct demo *demo, uint32_t backend)
{
    struct outcome *outcome = demo->outcome;
    const tg_platform_options options = {
        .size = sizeof(options), .backend = backend, .message = outcome->message, .message_capacity = TEXT_SIZE};
    tg_info info = {.size = sizeof(info)};

    outcome->opened = tg_platform_open(&options, &demo->platform);
    check_standard_streams(demo, "opening");
    if (outcome->opened)
        return;
    if (tg_platform_info(demo->platform, &info) == 0)
        outcome->backend = info.backend;
    take_steps(demo);
    tg_platform_close(demo->platform);
}

static void probe(struct outcome *outcome, uint32_t backend)
{
    tg_probe probe = {.size = sizeof(probe)};
    int err = tg_platform_probe(backend, &probe);

    outcome->probed = err ? err : probe.error;
}

void demo_run(uint32_t backend, struct outcome *outcome)
{
    struct demo demo = {.outcome = outcome};
    const size_t before = count_descriptors();
    size_t after;

    for (int fd = 0; fd < STANDARD; fd++)
        demo.open_at_start[fd] = is_open(fd);
    probe(outcome, backend);
    check_standard_streams(&demo, "probing");
    open_and_use(&demo, backend);
    check_standard_streams(&demo, "closing");
    after = count_descriptors();
    if (after != before)
        note_wrong(&demo, "%zu descriptors before, %zu after", before, after);
    outcome->finished = true;
}
