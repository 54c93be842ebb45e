/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Entry points: version, error texts, platform. They check and forward, nothing else. */
#include <errno.h>
#include <stdio.h>

#include "abi/option_structs.h"
#include "abi/public_errors.h"
#include "core/backend.h"
#include "core/embedder_filter.h"
#include "core/guest_clocks.h"
#include "core/host_clock.h"
#include "core/last_error.h"
#include "core/no_cancel.h"

#define OPEN_FLAGS_ALL                                                                                                 \
    (TG_OPEN_TRAP_CPUID | TG_OPEN_TRAP_TSC | TG_OPEN_NO_PATCHING | TG_OPEN_NO_PLACEMENT | TG_OPEN_LATENCY |            \
     TG_OPEN_VDSO | TG_OPEN_VDSO_OWN)

#define TEXT_OF(number) TEXT(number)
#define TEXT(number)    #number

uint32_t tg_abi_version(void)
{
    return TG_ABI_VERSION;
}

const char *tg_version_string(void)
{
    return TEXT_OF(TG_VERSION_MAJOR) "." TEXT_OF(TG_VERSION_MINOR) "." TEXT_OF(TG_VERSION_PATCH);
}

const char *tg_strerror(int err)
{
    return public_error_text(err);
}

int tg_platform_probe(uint32_t backend, tg_probe *out)
{
    NO_CANCELLATION;
    tg_probe probe;
    int err;

    if (!out || !platform_knows(backend))
        return -EINVAL;
    err = option_struct_check(out, sizeof(out->size), sizeof(probe));
    if (!err)
        err = platform_probe(backend, &probe);
    if (!err) {
        probe.error = public_error(probe.error);
        option_struct_write(out, &probe, sizeof(probe));
    }
    return public_error(err);
}

/* Before there is a handle, the sentence can only go into the options. */
static int refuse_open(const tg_platform_options *options, int err, const char *sentence)
{
    if (options->message && options->message_capacity)
        snprintf(options->message, options->message_capacity, "%s", sentence);
    return err;
}

int tg_platform_open(const tg_platform_options *opts, tg_platform **out)
{
    NO_CANCELLATION;
    tg_platform_options options = {.size = sizeof(options)};
    int err;

    if (!out)
        return -EINVAL;
    *out = NULL;
    err = opts ? option_struct_read(&options, sizeof(options), opts) : 0;
    if (err)
        return err;
    if (!platform_knows(options.backend))
        return refuse_open(&options, -EINVAL, "check the options: backend is not one of TG_BACKEND_*");
    if (options.flags & ~(uint64_t)OPEN_FLAGS_ALL)
        return refuse_open(&options, -EINVAL, "check the options: unknown bits in flags");
    return public_error(platform_open(&options, out));
}

int tg_platform_info(const tg_platform *platform, tg_info *out)
{
    int err;

    if (!platform || !out)
        return platform_fail_null(platform, __func__);
    err = option_struct_check(out, sizeof(out->size), sizeof(*out));
    if (!err)
        option_struct_write(out, &platform->info, sizeof(platform->info));
    return err;
}

int tg_platform_stats(const tg_platform *platform, tg_stats *out)
{
    tg_stats stats;
    int err;

    if (!platform || !out)
        return platform_fail_null(platform, __func__);
    err = option_struct_check(out, sizeof(out->size), sizeof(stats));
    if (err)
        return err;
    platform_stats(platform, &stats);
    option_struct_write(out, &stats, sizeof(stats));
    return 0;
}

int tg_platform_set_spin(tg_platform *platform, uint64_t ns)
{
    return platform ? public_error(platform_set_spin(platform, ns)) : platform_fail_null(platform, __func__);
}

int tg_platform_add_seccomp_rules(const tg_platform *platform, void *scmp_filter_ctx)
{
    NO_CANCELLATION;

    if (!platform || !scmp_filter_ctx)
        return platform_fail_null(platform, __func__);
    return public_error(embedder_filter_allow(platform, scmp_filter_ctx));
}

uint64_t tg_platform_counter(const tg_platform *platform)
{
    return platform ? guest_clocks_counter(platform) : 0;
}

int tg_platform_follow_clock(const tg_platform *platform, tg_host_clock *host, tg_clock *out)
{
    tg_host_clock state;
    tg_clock clock;
    int err;

    if (!platform || !host || !out)
        return platform_fail_null(platform, __func__);
    err = option_struct_read(&state, sizeof(state), host);
    if (!err)
        err = option_struct_check(out, sizeof(out->size), sizeof(clock));
    if (!err)
        err = host_clock_step(platform, &state, &clock);
    if (err)
        return err;
    option_struct_write(host, &state, sizeof(state));
    option_struct_write(out, &clock, sizeof(clock));
    return 0;
}

const char *tg_platform_last_error(const tg_platform *platform)
{
    return platform ? last_error_get(platform->id) : "";
}

void tg_platform_close(tg_platform *platform)
{
    NO_CANCELLATION;

    if (platform)
        platform_close(platform);
}
