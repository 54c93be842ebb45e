/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

tg_platform *open_platform(uint32_t backend, uint64_t flags)
{
    char message[512] = "";
    tg_platform_options options = {
        .size = sizeof(options),
        .backend = backend,
        .flags = flags,
        .message = message,
        .message_capacity = sizeof(message),
    };
    tg_platform *platform = NULL;
    int result = tg_platform_open(&options, &platform);

    if (result != 0)
        check_failed(CHECK_HERE, "tg_platform_open: %d (%s): %s", result, tg_strerror(result), message);
    CHECK(platform != NULL);
    return platform;
}

tg_info platform_info(const tg_platform *platform)
{
    tg_info info = {.size = sizeof(info)};

    CHECK_OK(tg_platform_info(platform, &info));
    return info;
}

tg_stats platform_stats(const tg_platform *platform)
{
    tg_stats stats = {.size = sizeof(stats)};

    CHECK_OK(tg_platform_stats(platform, &stats));
    return stats;
}

tg_subprocess *create_subprocess(tg_platform *platform)
{
    tg_subprocess *subprocess = NULL;

    CHECK_OK(tg_subprocess_create(platform, &subprocess));
    CHECK(subprocess != NULL);
    return subprocess;
}

void map_pages(tg_subprocess *subprocess, uint64_t addr, uint64_t length, uint32_t prot)
{
    CHECK_OK(tg_subprocess_map(subprocess, addr, length, prot, 0, -1, 0));
}

void load_code(tg_subprocess *subprocess, uint64_t addr, struct guest_code code)
{
    size_t length = (size_t)(code.end - code.start);
    size_t done = 0;

    map_pages(subprocess, addr, length, PROT_RW);
    CHECK_OK(tg_subprocess_write(subprocess, addr, code.start, length, &done));
    CHECK_EQ(done, length);
    CHECK_OK(tg_subprocess_protect(subprocess, addr, length, PROT_RX));
}

tg_subprocess *create_loaded_subprocess(tg_platform *platform, struct guest_code code)
{
    tg_subprocess *subprocess = create_subprocess(platform);

    load_code(subprocess, GUEST_CODE_AT, code);
    map_pages(subprocess, GUEST_STACK_AT, GUEST_STACK_SIZE, PROT_RW);
    map_pages(subprocess, GUEST_DATA_AT, GUEST_DATA_SIZE, PROT_RW);
    return subprocess;
}

tg_context *create_context(tg_platform *platform)
{
    tg_context *context = NULL;

    CHECK_OK(tg_context_create(platform, &context));
    CHECK(context != NULL);
    return context;
}

tg_context *create_started_context(tg_platform *platform)
{
    tg_context *context = create_context(platform);

    CHECK_OK(tg_context_start(context, GUEST_CODE_AT, GUEST_STACK_TOP));
    return context;
}

void guest_open_flags(struct guest *guest, uint32_t backend, uint64_t flags, struct guest_code code)
{
    memset(guest, 0, sizeof(*guest));
    guest->platform = open_platform(backend, flags);
    guest->page = platform_info(guest->platform).page_size;
    guest->subprocess = create_loaded_subprocess(guest->platform, code);
    guest->context = create_started_context(guest->platform);
}

void guest_open(struct guest *guest, uint32_t backend, struct guest_code code)
{
    guest_open_flags(guest, backend, 0, code);
}

void guest_close(struct guest *guest)
{
    tg_context_destroy(guest->context);
    tg_subprocess_destroy(guest->subprocess);
    tg_platform_close(guest->platform);
}

void guest_restart(struct guest *guest)
{
    CHECK_OK(tg_context_start(guest->context, GUEST_CODE_AT, GUEST_STACK_TOP));
}

void guest_run(struct guest *guest)
{
    run_context(guest->context, guest->subprocess, &guest->event);
}

void *guest_run_thread(void *guest)
{
    guest_run(guest);
    return NULL;
}

uint64_t guest_load(tg_subprocess *subprocess, uint64_t addr)
{
    uint64_t value = 0;

    CHECK_OK(tg_subprocess_read(subprocess, addr, &value, sizeof(value), NULL));
    return value;
}

void guest_store(tg_subprocess *subprocess, uint64_t addr, uint64_t value)
{
    CHECK_OK(tg_subprocess_write(subprocess, addr, &value, sizeof(value), NULL));
}

void guest_wait_change(tg_subprocess *subprocess, uint64_t addr, uint64_t old)
{
    while (guest_load(subprocess, addr) == old)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

tg_event new_event(void)
{
    return (tg_event){.size = sizeof(tg_event)};
}

void run_context(tg_context *context, tg_subprocess *subprocess, tg_event *event)
{
    *event = new_event();
    CHECK_OK(tg_context_switch(context, subprocess, event));
    CHECK(event->context == context);
}

static void describe(const tg_event *event, char *text, size_t capacity)
{
    switch (event->kind) {
    case TG_EVENT_SYSCALL:
        snprintf(text, capacity, "SYSCALL nr %" PRId64 " ip 0x%" PRIx64, (int64_t)event->u.syscall.nr,
                 event->u.syscall.ip);
        break;
    case TG_EVENT_FAULT:
        snprintf(text, capacity, "FAULT signal %d code %d access %u addr 0x%" PRIx64 " ip 0x%" PRIx64,
                 event->u.fault.signo, event->u.fault.code, event->u.fault.access, event->u.fault.addr,
                 event->u.fault.ip);
        break;
    case TG_EVENT_EXCEPTION:
        snprintf(text, capacity, "EXCEPTION signal %d code %d addr 0x%" PRIx64 " ip 0x%" PRIx64,
                 event->u.exception.signo, event->u.exception.code, event->u.exception.addr, event->u.exception.ip);
        break;
    case TG_EVENT_INTERRUPTED:
        snprintf(text, capacity, "INTERRUPTED");
        break;
    case TG_EVENT_DEAD:
        snprintf(text, capacity, "DEAD reason %d status %d", event->u.dead.reason, event->u.dead.status);
        break;
    default:
        snprintf(text, capacity, "unknown kind %u", event->kind);
        break;
    }
}

static _Noreturn void wrong_event(struct check_place place, const tg_event *event, const char *expected)
{
    char text[160];

    describe(event, text, sizeof(text));
    check_failed(place, "event is %s (flags 0x%x), not %s", text, event->flags, expected);
}

void check_kind(struct check_place place, const tg_event *event, uint32_t kind)
{
    static const char *const names[] = {"none", "SYSCALL", "FAULT", "EXCEPTION", "INTERRUPTED", "DEAD"};

    if (event->kind != kind)
        wrong_event(place, event, names[kind]);
}

void check_call(struct check_place place, const tg_event *event, uint64_t number)
{
    char expected[64];

    snprintf(expected, sizeof(expected), "SYSCALL nr %" PRId64, (int64_t)number);
    if (event->kind != TG_EVENT_SYSCALL || event->u.syscall.nr != number)
        wrong_event(place, event, expected);
}

void check_fault(struct check_place place, const tg_event *event, uint64_t addr, uint32_t access, int signo, int code)
{
    char expected[128];

    snprintf(expected, sizeof(expected), "FAULT signal %d code %d access %u addr 0x%" PRIx64, signo, code, access,
             addr);
    if (event->kind != TG_EVENT_FAULT || event->u.fault.addr != addr || event->u.fault.access != access ||
        event->u.fault.signo != signo || event->u.fault.code != code)
        wrong_event(place, event, expected);
}

void check_exception(struct check_place place, const tg_event *event, int signo, int code)
{
    char expected[64];

    snprintf(expected, sizeof(expected), "EXCEPTION signal %d code %d", signo, code);
    if (event->kind != TG_EVENT_EXCEPTION || event->u.exception.signo != signo || event->u.exception.code != code)
        wrong_event(place, event, expected);
}

void check_dead(struct check_place place, const tg_event *event, int reason, int status)
{
    char expected[64];

    snprintf(expected, sizeof(expected), "DEAD reason %d status %d", reason, status);
    if (event->kind != TG_EVENT_DEAD || event->u.dead.reason != reason || event->u.dead.status != status)
        wrong_event(place, event, expected);
}
