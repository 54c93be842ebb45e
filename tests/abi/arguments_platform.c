/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls on no handle or on a platform. */
#include <limits.h>
#include <string.h>

#include "arguments.h"

#define NOT_NULL(type) ((type *)&not_null)

static char not_null;

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

void arguments_of_version(struct fixture *fixture)
{
    static const int errors[] = {0, 1, -1, EINVAL, -EINVAL, E2BIG, -E2BIG, 4095, -4096, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        HOLDS(fixture, has_text(tg_strerror(errors[i])));
    HOLDS(fixture, strcmp(tg_strerror(EINVAL), tg_strerror(-EINVAL)) == 0);
    HOLDS(fixture, strcmp(tg_strerror(EINVAL), tg_strerror(ENOMEM)) != 0);
    HOLDS(fixture, tg_abi_version() == TG_ABI_VERSION);
    HOLDS(fixture, has_text(tg_version_string()));
}

static void arguments_of_probe(struct fixture *fixture)
{
    tg_probe probe = {.size = sizeof(probe)};
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_probe(99, &probe));
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_probe(UINT32_MAX, &probe));
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_probe(fixture->backend, NULL));
    probe.size = 0;
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_probe(fixture->backend, &probe));
}

/* Opens with bad options: no handle comes out, and the message says why. */
static void open_refused(struct fixture *fixture, int error, tg_platform_options options)
{
    char message[256] = "";
    tg_platform *out = NOT_NULL(tg_platform);
    options.message = message;
    options.message_capacity = sizeof(message);
    REFUSED_MUTE(fixture, error, tg_platform_open(&options, &out));
    HOLDS(fixture, out == NULL);
    HOLDS(fixture, has_text(message));
}

static void message_is_cut(struct fixture *fixture)
{
    char message[8];
    tg_platform *out = NOT_NULL(tg_platform);
    tg_platform_options options = {.size = sizeof(options), .backend = 99, .message = message};
    memset(message, '#', sizeof(message));
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_open(&options, &out));
    HOLDS(fixture, message[0] == '#');
    options.message_capacity = 4;
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_open(&options, &out));
    HOLDS(fixture, strlen(message) == 3 && message[4] == '#');
    options.message = NULL;
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_open(&options, &out));
}

static void arguments_of_open(struct fixture *fixture)
{
    const uint32_t backend = fixture->backend;
    const uint32_t size = sizeof(tg_platform_options);
    const tg_platform_options good = {.size = size, .backend = backend};
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_open(&good, NULL));
    open_refused(fixture, -EINVAL, (tg_platform_options){.size = size, .backend = 99});
    open_refused(fixture, -EINVAL, (tg_platform_options){.size = size, .backend = backend, .flags = 0x80});
    open_refused(fixture, -EINVAL, (tg_platform_options){.size = size, .backend = backend, .flags = 1ull << 63});
    if (!(fixture->info.capabilities & TG_CAP_TRAP_CPUID))
        open_refused(fixture, -EOPNOTSUPP,
                     (tg_platform_options){.size = size, .backend = backend, .flags = TG_OPEN_TRAP_CPUID});
    if (!(fixture->info.capabilities & TG_CAP_TRAP_TSC))
        open_refused(fixture, -EOPNOTSUPP,
                     (tg_platform_options){.size = size, .backend = backend, .flags = TG_OPEN_TRAP_TSC});
    message_is_cut(fixture);
}

static void arguments_of_host_clocks(struct fixture *fixture)
{
    tg_host_clock host = {.size = sizeof(host), .clock = 77};
    tg_clock clock = {.size = sizeof(clock), .base_ns = 1};

    REFUSED_MUTE(fixture, -EINVAL, tg_platform_follow_clock(NULL, &host, &clock));
    REFUSED(fixture, -EINVAL, tg_platform_follow_clock(fixture->platform, NULL, &clock));
    REFUSED(fixture, -EINVAL, tg_platform_follow_clock(fixture->platform, &host, NULL));
    REFUSED(fixture, -EINVAL, tg_platform_follow_clock(fixture->platform, &host, &clock));
    HOLDS(fixture, clock.base_ns == 1);
    HOLDS(fixture, tg_platform_counter(NULL) == 0);
    HOLDS(fixture, tg_platform_counter(fixture->platform) == 0);
}

void arguments_of_platform(struct fixture *fixture)
{
    tg_info info = {.size = sizeof(info)};
    tg_stats stats = {.size = sizeof(stats)};
    arguments_of_probe(fixture);
    arguments_of_open(fixture);
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_info(NULL, &info));
    REFUSED(fixture, -EINVAL, tg_platform_info(fixture->platform, NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_stats(NULL, &stats));
    arguments_of_host_clocks(fixture);
    REFUSED(fixture, -EINVAL, tg_platform_stats(fixture->platform, NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_set_spin(NULL, 0));
    HOLDS(fixture, tg_platform_set_spin(fixture->platform, UINT64_MAX) == 0);
    HOLDS(fixture, tg_platform_set_spin(fixture->platform, 0) == 0);
    REFUSED_MUTE(fixture, -EINVAL, tg_platform_add_seccomp_rules(NULL, NOT_NULL(void)));
    REFUSED_EITHER(fixture, -EINVAL, -EOPNOTSUPP, tg_platform_add_seccomp_rules(fixture->platform, NULL));
    HOLDS(fixture, tg_platform_last_error(NULL) != NULL);
    tg_platform_close(NULL);
}
