/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The library for an architecture that lacks parts of the contract
 * (arch/arch_cpu.h): what is absent is not offered and says so, and all else works.
 *
 * usage: absent_parts [PART...]     of ptrace, systrap, patching, vdso
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <trapgate/trapgate.h>

#include "check.h"

#define CODE_ADDRESS 0x10000000ull
#define CALLS        64 /* from one place: more than it takes to patch it */

extern const unsigned char arguments_guest[];
extern const unsigned char arguments_guest_end[];

static char **absent;

static bool is_absent(const char *part)
{
    for (char **name = absent; *name; name++)
        if (!strcmp(*name, part))
            return true;
    return false;
}

static int open_with(uint32_t backend, char *message, size_t capacity, tg_platform **platform)
{
    const tg_platform_options options = {
        .size = sizeof(options), .backend = backend, .message = message, .message_capacity = capacity};

    return tg_platform_open(&options, platform);
}

static void check_is_not_offered(uint32_t backend)
{
    char message[512] = "";
    tg_probe probe = {.size = sizeof(probe)};
    tg_platform *platform = NULL;

    CHECK_OK(tg_platform_probe(backend, &probe));
    CHECK_EQ(probe.available, 0);
    CHECK_EQ(probe.error, -EOPNOTSUPP);
    CHECK(strstr(probe.reason, "not ported to this processor") != NULL);
    CHECK_RESULT(open_with(backend, message, sizeof(message), &platform), -EOPNOTSUPP);
    CHECK(platform == NULL);
    CHECK(strstr(message, probe.reason) != NULL);
}

static tg_subprocess *load_guest(tg_platform *platform)
{
    const size_t length = (size_t)(arguments_guest_end - arguments_guest);
    tg_subprocess *subprocess = NULL;

    CHECK_OK(tg_subprocess_create(platform, &subprocess));
    CHECK_OK(tg_subprocess_map(subprocess, CODE_ADDRESS, length, TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0));
    CHECK_OK(tg_subprocess_write(subprocess, CODE_ADDRESS, arguments_guest, length, NULL));
    CHECK_OK(tg_subprocess_protect(subprocess, CODE_ADDRESS, length, TG_PROT_READ | TG_PROT_EXEC));
    return subprocess;
}

/* A guest makes calls. May some of them be patched? */
static void run_guest(tg_platform *platform, bool patched)
{
    tg_event event = {.size = sizeof(event)};
    tg_subprocess *subprocess = load_guest(platform);
    tg_context *context = NULL;

    CHECK_OK(tg_context_create(platform, &context));
    CHECK_OK(tg_context_start(context, CODE_ADDRESS, 0));
    for (int i = 0; i < CALLS; i++) {
        CHECK_OK(tg_context_switch(context, subprocess, &event));
        CHECK_EQ(event.kind, TG_EVENT_SYSCALL);
        CHECK(patched || !(event.flags & TG_FLAG_PATCHED));
        CHECK_OK(tg_context_set_return(context, i));
    }
    tg_context_destroy(context);
    tg_subprocess_destroy(subprocess);
}

/* Accepted, and without effect. */
static void check_own_vdso(uint32_t backend)
{
    const tg_platform_options options = {.size = sizeof(options), .backend = backend, .flags = TG_OPEN_VDSO_OWN};
    const uint32_t kind = is_absent("vdso") ? TG_VDSO_NONE : TG_VDSO_OWN;
    tg_info info = {.size = sizeof(info)};
    tg_platform *platform = NULL;

    CHECK_OK(tg_platform_open(&options, &platform));
    CHECK_OK(tg_platform_info(platform, &info));
    CHECK_EQ(info.vdso_kind, kind);
    CHECK_EQ(info.vdso != 0, kind != TG_VDSO_NONE);
    tg_platform_close(platform);
}

static void check_works(uint32_t backend)
{
    const bool patched = backend == TG_BACKEND_SYSTRAP && !is_absent("patching");
    char message[512] = "";
    tg_info info = {.size = sizeof(info)};
    tg_platform *platform = NULL;
    int result = open_with(backend, message, sizeof(message), &platform);

    check_context("%s", message);
    CHECK_OK(result);
    CHECK_OK(tg_platform_info(platform, &info));
    CHECK_EQ(info.backend, backend);
    CHECK(patched || !(info.capabilities & TG_CAP_PATCHING));
    CHECK_EQ(info.reserved_count, info.capabilities & TG_CAP_PATCHING ? 1 : 0);
    run_guest(platform, patched);
    tg_platform_close(platform);
    check_own_vdso(backend);
}

static void check_backend(uint32_t backend, const char *name)
{
    if (is_absent(name))
        check_is_not_offered(backend);
    else
        check_works(backend);
}

/* The first that is there; where there is none, each says so. */
static void check_any(void)
{
    const bool none = is_absent("ptrace") && is_absent("systrap");
    tg_probe probe = {.size = sizeof(probe)};

    CHECK_OK(tg_platform_probe(TG_BACKEND_AUTO, &probe));
    CHECK_EQ(probe.available, !none);
    if (none)
        CHECK(strstr(probe.reason, "ptrace: ") && strstr(probe.reason, "systrap: "));
    else
        CHECK_EQ(probe.backend, is_absent("systrap") ? TG_BACKEND_PTRACE : TG_BACKEND_SYSTRAP);
}

int main(int argc, char **argv)
{
    absent = argv + (argc > 0);
    check_backend(TG_BACKEND_PTRACE, "ptrace");
    check_backend(TG_BACKEND_SYSTRAP, "systrap");
    check_any();
    return 0;
}
