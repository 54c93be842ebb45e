/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The handles that the calls are made with. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

extern const unsigned char arguments_guest[];
extern const unsigned char arguments_guest_end[];

void must(tg_platform *platform, int result, const char *what)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, tg_strerror(result), platform ? tg_platform_last_error(platform) : "");
    exit(1);
}

static tg_platform *open_platform(uint32_t backend)
{
    char message[512] = "";
    const tg_platform_options options = {
        .size = sizeof(options), .backend = backend, .message = message, .message_capacity = sizeof(message)};
    tg_platform *platform = NULL;
    int result = tg_platform_open(&options, &platform);
    if (result != 0) {
        fprintf(stderr, "tg_platform_open: %s: %s\n", tg_strerror(result), message);
        exit(1);
    }
    return platform;
}

static tg_subprocess *create_guest(struct fixture *fixture, tg_platform *platform)
{
    const size_t length = (size_t)(arguments_guest_end - arguments_guest);
    tg_subprocess *subprocess = NULL;
    MUST(platform, tg_subprocess_create(platform, &subprocess));
    MUST(platform, tg_subprocess_map(subprocess, CODE_ADDRESS, length, TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0));
    MUST(platform, tg_subprocess_write(subprocess, CODE_ADDRESS, arguments_guest, length, NULL));
    MUST(platform, tg_subprocess_protect(subprocess, CODE_ADDRESS, length, TG_PROT_READ | TG_PROT_EXEC));
    MUST(platform, tg_subprocess_map(subprocess, DATA_ADDRESS, PAGE(fixture), TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0));
    return subprocess;
}

static tg_context *create_context(tg_platform *platform)
{
    tg_context *context = NULL;
    MUST(platform, tg_context_create(platform, &context));
    MUST(platform, tg_context_start(context, CODE_ADDRESS, DATA_ADDRESS + 0x800));
    return context;
}

/* The stub is killed from outside and the library has told us. */
static tg_subprocess *create_dead(struct fixture *fixture)
{
    tg_event event = {.size = sizeof(event)};
    tg_subprocess *dead = create_guest(fixture, fixture->platform);
    tg_context *context = create_context(fixture->platform);
    const int32_t pid = tg_subprocess_pid(dead);
    /* 0 would be our own process group. */
    if (pid <= 0 || kill(pid, SIGKILL) != 0) {
        fprintf(stderr, "the stub %d cannot be killed\n", pid);
        exit(1);
    }
    /* The signal may take a moment; until then the guest makes its system calls. */
    do
        MUST(fixture->platform, tg_context_switch(context, dead, &event));
    while (event.kind == TG_EVENT_SYSCALL);
    HOLDS(fixture, event.kind == TG_EVENT_DEAD);
    tg_context_destroy(context);
    return dead;
}

void fixture_open(struct fixture *fixture)
{
    fixture->platform = open_platform(fixture->backend);
    fixture->foreign_platform = open_platform(fixture->backend);
    HOLDS(fixture, strcmp(tg_platform_last_error(fixture->platform), "") == 0);
    fixture->info.size = sizeof(fixture->info);
    MUST(fixture->platform, tg_platform_info(fixture->platform, &fixture->info));
    fixture->subprocess = create_guest(fixture, fixture->platform);
    fixture->dead = create_dead(fixture);
    fixture->context = create_context(fixture->platform);
    fixture->queued = create_context(fixture->platform);
    MUST(fixture->platform, tg_queue_create(fixture->platform, &fixture->queue));
    fixture->foreign_subprocess = create_guest(fixture, fixture->foreign_platform);
    fixture->foreign_context = create_context(fixture->foreign_platform);
    MUST(fixture->foreign_platform, tg_queue_create(fixture->foreign_platform, &fixture->foreign_queue));
}

void fixture_still_works(struct fixture *fixture)
{
    tg_event event = {.size = sizeof(event)};
    HOLDS(fixture, tg_context_switch(fixture->context, fixture->subprocess, &event) == 0);
    HOLDS(fixture, event.kind == TG_EVENT_SYSCALL);
    HOLDS(fixture, tg_context_switch(fixture->foreign_context, fixture->foreign_subprocess, &event) == 0);
    HOLDS(fixture, event.kind == TG_EVENT_SYSCALL);
}

void fixture_close(struct fixture *fixture)
{
    tg_queue_destroy(fixture->queue);
    tg_context_destroy(fixture->queued);
    tg_context_destroy(fixture->context);
    tg_subprocess_destroy(fixture->dead);
    tg_subprocess_destroy(fixture->subprocess);
    tg_platform_close(fixture->platform);
    tg_platform_close(fixture->foreign_platform);
}
