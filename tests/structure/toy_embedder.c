/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls the toy backend by its number, through the public header alone. */
#include <stdio.h>
#include <stdlib.h>

#include <trapgate/trapgate.h>

#define TOY_BACKEND 77
#define TOY_STATUS  7

static void expect(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "FAIL: %s\n", what);
    exit(1);
}

static void expect_end(const tg_event *event, const tg_context *context)
{
    expect(event->kind == TG_EVENT_DEAD && event->context == context, "the event is DEAD");
    expect(event->u.dead.reason == TG_DEAD_EXITED && event->u.dead.status == TOY_STATUS, "it ended as toys do");
}

int main(void)
{
    tg_platform_options options = {.size = sizeof(options), .backend = TOY_BACKEND};
    tg_probe probe = {.size = sizeof(probe)};
    tg_event event = {.size = sizeof(event)};
    tg_info info = {.size = sizeof(info)};
    tg_subprocess *subprocess;
    tg_platform *platform;
    tg_context *context;
    tg_queue *queue;
    size_t count;

    expect(tg_platform_probe(TOY_BACKEND, &probe) == 0 && probe.available, "a probe finds it");
    expect(tg_platform_probe(TOY_BACKEND + 1, &probe) == -22, "a number of no backend is refused");
    expect(tg_platform_open(&options, &platform) == 0, "open");
    expect(tg_platform_info(platform, &info) == 0 && info.backend == TOY_BACKEND, "the platform is the toy's");
    expect(tg_subprocess_create(platform, &subprocess) == 0, "make a subprocess");
    expect(tg_context_create(platform, &context) == 0, "make a context");
    expect(tg_context_switch(context, subprocess, &event) == 0, "switch");
    expect_end(&event, context);
    expect(tg_queue_create(platform, &queue) == 0, "make a queue");
    expect(tg_queue_submit(queue, context, subprocess) == 0, "submit");
    expect(tg_queue_wait(queue, &event, 1, -1, &count) == 0 && count == 1, "wait");
    expect_end(&event, context);
    tg_queue_destroy(queue);
    tg_context_destroy(context);
    tg_subprocess_destroy(subprocess);
    tg_platform_close(platform);
    printf("PASS: the toy was opened, switched to, submitted to and closed\n");
    return 0;
}
