/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening, closing and asking a platform. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

static void open_flags(struct thread *thread, struct platform *platform, uint64_t flags)
{
    char message[256] = "";
    tg_platform_options options = {
        .size = sizeof(options),
        .backend = platform->backend,
        .flags = flags,
        .message = message,
        .message_capacity = sizeof(message),
    };
    tg_platform *opened = NULL;
    int result;

    if (!handle_reserve(&platform->handle))
        return;
    result = RESULT(thread, NULL, tg_platform_open(&options, &opened), -EAGAIN, -ENOMEM, -EMFILE);
    if (result)
        fprintf(stderr, "api_threads: open: %s\n", message);
    platform->info.size = sizeof(platform->info);
    if (opened && tg_platform_info(opened, &platform->info))
        wrong("tg_platform_info failed");
    handle_made(&platform->handle, opened);
}

void open_platform_in(struct thread *thread, struct platform *platform)
{
    static const uint64_t flags[] = {
        0, 0, TG_OPEN_LATENCY, TG_OPEN_NO_PATCHING, TG_OPEN_NO_PLACEMENT, TG_OPEN_VDSO, TG_OPEN_VDSO_OWN};

    open_flags(thread, platform, flags[random_below(thread, sizeof(flags) / sizeof(flags[0]))]);
}

/* All handles of the platform are gone with it. */
static void forget_handles(struct platform *platform)
{
    for (int i = 0; i < SUBPROCESSES; i++)
        handle_made(&platform->subprocesses[i].handle, NULL);
    for (int i = 0; i < CONTEXTS; i++)
        handle_made(&platform->contexts[i].handle, NULL);
    for (int i = 0; i < QUEUES; i++) {
        handle_made(&platform->queues[i].handle, NULL);
        for (int k = 0; k < CONTEXTS; k++)
            atomic_store(&platform->queues[i].inside[k], 0);
    }
}

void close_platform_of(struct thread *thread, struct platform *platform)
{
    if (!handle_end(&platform->handle))
        return;
    CALL_VOID(thread, tg_platform_close(platform->handle.object));
    forget_handles(platform);
    handle_gone(&platform->handle);
}

static void reopen(struct thread *thread, struct platform *platform)
{
    if (PLATFORMS_STAY)
        return;
    /* The caller has it. */
    handle_leave(&platform->handle, TAKE);
    if (random_below(thread, 4) == 0)
        close_platform_of(thread, platform);
    open_platform_in(thread, platform);
    while (!handle_use(&platform->handle, TAKE))
        open_platform_in(thread, platform);
}

static void probe(struct thread *thread, struct platform *platform)
{
    tg_probe out = {.size = sizeof(out)};

    if (PLATFORMS_STAY)
        return;
    RESULT(thread, platform, tg_platform_probe(platform->backend, &out));
    if (!out.available && out.error != -EAGAIN && out.error != -ENOMEM && out.error != -EMFILE)
        wrong("probe: %d: %s: %s", out.error, out.step, out.reason);
}

static void ask(struct thread *thread, struct platform *platform)
{
    tg_platform *handle = platform->handle.object;
    tg_info info = {.size = sizeof(info)};
    tg_stats stats = {.size = sizeof(stats)};

    RESULT(thread, platform, tg_platform_info(handle, &info));
    if (info.backend != platform->backend)
        wrong("tg_platform_info: another backend");
    RESULT(thread, platform, tg_platform_stats(handle, &stats));
    if (stats.contexts > CONTEXTS + THREADS || stats.subprocesses > SUBPROCESSES + THREADS)
        wrong("tg_platform_stats: %llu contexts, %llu subprocesses", (unsigned long long)stats.contexts,
              (unsigned long long)stats.subprocesses);
}

static void set_spin(struct thread *thread, struct platform *platform)
{
    static const uint64_t times[] = {0, 1, 1000, 1000000};

    RESULT(
        thread, platform,
        tg_platform_set_spin(platform->handle.object, times[random_below(thread, sizeof(times) / sizeof(times[0]))]));
}

static void read_sentence(struct thread *thread, struct platform *platform)
{
    if (strlen(CALL(thread, tg_platform_last_error(platform->handle.object))) > 1024)
        wrong("tg_platform_last_error: no sentence");
}

static void refused(struct thread *thread, struct platform *platform)
{
    tg_platform_options options = {.size = sizeof(options), .flags = 1ull << 40};
    tg_platform *out;

    if (CALL(thread, tg_platform_open(&options, &out)) != -EINVAL || out)
        wrong("tg_platform_open: unknown flags");
    if (CALL(thread, tg_platform_add_seccomp_rules(platform->handle.object, NULL)) != -EINVAL)
        wrong("tg_platform_add_seccomp_rules: NULL");
    if (tg_abi_version() != TG_ABI_VERSION || !tg_version_string()[0] || !tg_strerror(-EBUSY)[0])
        wrong("version or text");
}

const struct random_call platform_calls[] = {
    {1, reopen}, {1, probe}, {8, ask}, {8, read_sentence}, {2, set_spin}, {2, refused}, {0, NULL},
};
