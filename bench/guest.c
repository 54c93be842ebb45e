/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "arch/guest_registers.h"
#include "guest_programs.h"
#include "sample.h"

void guest_require(const tg_platform *platform, int result, const char *step)
{
    if (result != 0)
        sample_fail("%s: %s: %s", step, tg_strerror(result), platform ? tg_platform_last_error(platform) : "");
}

static tg_platform *open_platform(const struct sample *sample)
{
    char message[SAMPLE_REASON_MAX] = "";
    tg_platform_options options = {
        .size = sizeof(options),
        .backend = sample->backend,
        .flags = sample->open_flags,
        .spin_ns = sample->spin_ns,
        .message = message,
        .message_capacity = sizeof(message),
    };
    tg_platform *platform;
    int result = tg_platform_open(&options, &platform);

    if (result != 0)
        sample_fail("tg_platform_open: %s: %s", tg_strerror(result), message);
    return platform;
}

void guest_load(tg_platform *platform, tg_subprocess *subprocess, struct guest_program program)
{
    const char *code = (const char *)(uintptr_t)program.entry;
    size_t length = (size_t)(program.end - code);

    guest_require(platform,
                  tg_subprocess_map(subprocess, GUEST_CODE_ADDRESS, length, TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0),
                  "tg_subprocess_map");
    guest_require(platform, tg_subprocess_write(subprocess, GUEST_CODE_ADDRESS, code, length, NULL),
                  "tg_subprocess_write");
    guest_require(platform, tg_subprocess_protect(subprocess, GUEST_CODE_ADDRESS, length, TG_PROT_READ | TG_PROT_EXEC),
                  "tg_subprocess_protect");
}

tg_subprocess *guest_subprocess(tg_platform *platform, struct guest_program program)
{
    tg_subprocess *subprocess;

    guest_require(platform, tg_subprocess_create(platform, &subprocess), "tg_subprocess_create");
    guest_load(platform, subprocess, program);
    return subprocess;
}

tg_context *guest_context(tg_platform *platform, uint64_t argument, uint32_t flags)
{
    tg_context *context;

    guest_require(platform, tg_context_create(platform, &context), "tg_context_create");
    guest_require(platform, tg_context_start(context, GUEST_CODE_ADDRESS, 0), "tg_context_start");
    guest_require(platform, tg_context_set_flags(context, flags), "tg_context_set_flags");
    guest_registers_set_argument(tg_context_regs_mut(context), argument);
    return context;
}

void guest_answer(const tg_event *event)
{
    if (event->kind != TG_EVENT_SYSCALL || event->u.syscall.nr != SYS_getppid)
        sample_fail("event %u instead of the guest's system call", event->kind);
    tg_context_set_return(event->context, GETPPID_ANSWER);
}

uint32_t guest_serve_in(tg_platform *platform, tg_context *context, tg_subprocess *subprocess)
{
    tg_event event;

    event.size = sizeof(event);
    guest_require(platform, tg_context_switch(context, subprocess, &event), "tg_context_switch");
    guest_answer(&event);
    return event.flags;
}

uint32_t guest_serve(const struct guest *guest, tg_context *context)
{
    return guest_serve_in(guest->platform, context, guest->subprocess);
}

void guest_open(struct guest *guest, const struct sample *sample, struct guest_program program)
{
    guest->platform = open_platform(sample);
    guest->subprocess = guest_subprocess(guest->platform, program);
}

void guest_close(struct guest *guest)
{
    tg_platform_close(guest->platform);
}
