/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/backend.h"
#include "core/last_error.h"
#include "core/lowest_address.h"

static _Atomic uint64_t next_platform_id = 1;

/* In the order in which AUTO tries them. */
static const struct backend_ops *const backends[] = {
    &systrap_backend,
    &ptrace_backend,
};

#define BACKEND_COUNT (sizeof(backends) / sizeof(backends[0]))

int platform_fail(struct tg_platform *platform, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    last_error_set(platform->id, format, args);
    va_end(args);
    return err;
}

int platform_refuse_null(const struct tg_platform *platform, const char *function)
{
    if (!platform)
        return -EINVAL;
    return platform_fail((struct tg_platform *)(uintptr_t)platform, -EINVAL, "%s: an argument is NULL", function);
}

void open_report_fill(struct open_report *report, const char *step, const char *remedy, const char *format, ...)
{
    va_list args;

    snprintf(report->step, sizeof(report->step), "%s", step);
    snprintf(report->remedy, sizeof(report->remedy), "%s", remedy);
    va_start(args, format);
    vsnprintf(report->reason, sizeof(report->reason), format, args);
    va_end(args);
}

int platform_is_ours(const struct tg_platform *platform)
{
    return platform->owner == getpid();
}

static void platform_free(struct tg_platform *platform)
{
    pthread_mutex_destroy(&platform->lock);
    free(platform);
}

/* What no backend has to say; it may have said more. */
static void fill_info(struct tg_info *info, uint64_t flags)
{
    info->size = sizeof(*info);
    info->user_start = lowest_address(info->page_size);
    info->capabilities |= TG_CAP_ACCESS_EXACT | TG_CAP_SINGLE_STEP | TG_CAP_SYSCALL_ARCH | TG_CAP_VSYSCALL;
    if (flags & TG_OPEN_TRAP_CPUID || tgi_arch.can_trap_cpuid())
        info->capabilities |= TG_CAP_TRAP_CPUID;
    if (flags & TG_OPEN_TRAP_TSC || tgi_arch.can_trap_tsc())
        info->capabilities |= TG_CAP_TRAP_TSC;
}

static int open_backend(const struct backend_ops *ops, const struct tg_platform_options *options,
                        struct open_report *report, struct tg_platform **out)
{
    struct tg_platform *platform = calloc(1, sizeof(*platform));
    int err;

    if (!platform) {
        open_report_fill(report, "allocate", "free some memory", "no memory for the platform");
        return -ENOMEM;
    }
    platform->ops = ops;
    platform->id = atomic_fetch_add(&next_platform_id, 1);
    platform->owner = getpid();
    platform->measures_latency = options->flags & TG_OPEN_LATENCY;
    pthread_mutex_init(&platform->lock, NULL);
    list_init(&platform->subprocesses);
    list_init(&platform->contexts);
    list_init(&platform->queues);
    platform->info.backend = ops->backend;
    platform->info.arch = tgi_arch.audit_arch;
    platform->info.page_size = (uint32_t)sysconf(_SC_PAGESIZE);

    err = ops->open(platform, options, report);
    if (err) {
        platform_free(platform);
        return err;
    }
    fill_info(&platform->info, options->flags);
    /* First stubs that found their place taken, before another try, are no deaths of the embedder's. */
    atomic_store(&platform->counters[COUNTER_DEATHS], 0);
    *out = platform;
    return 0;
}

/* The first that opens; the report is the last one's that did not. */
static int open_any(const struct tg_platform_options *options, struct open_report *report, struct tg_platform **out)
{
    int err = -EOPNOTSUPP;

    open_report_fill(report, "choose a backend", "use TG_BACKEND_AUTO or TG_BACKEND_PTRACE",
                     "this library was built without that backend");
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        if (options->backend != TG_BACKEND_AUTO && options->backend != backends[i]->backend)
            continue;
        err = open_backend(backends[i], options, report, out);
        if (!err)
            break;
    }
    return err;
}

int platform_open(const struct tg_platform_options *options, struct tg_platform **out)
{
    struct open_report report;
    int err = open_any(options, &report, out);

    if (err && options->message && options->message_capacity)
        snprintf(options->message, options->message_capacity, "%s: %s; %s", report.step, report.reason, report.remedy);
    return err;
}

int platform_probe(uint32_t backend, struct tg_probe *out)
{
    const struct tg_platform_options options = {.size = sizeof(options), .backend = backend};
    struct open_report report;
    struct tg_platform *platform;
    int err = open_any(&options, &report, &platform);

    memset(out, 0, sizeof(*out));
    out->size = sizeof(*out);
    out->backend = backend;
    out->error = err;
    if (err) {
        memcpy(out->step, report.step, sizeof(out->step));
        memcpy(out->reason, report.reason, sizeof(out->reason));
        memcpy(out->remedy, report.remedy, sizeof(out->remedy));
        return 0;
    }
    out->available = 1;
    out->backend = platform->ops->backend;
    platform_close(platform);
    return 0;
}

/* Patched calls are what is left: the fast path counts one number. Not read at once, so the sum may be off by some. */
static void divide_calls(const struct tg_platform *platform, uint64_t numbers[COUNTERS])
{
    uint64_t all = numbers[COUNTER_SYSCALLS];
    uint64_t *unpatched = &numbers[COUNTER_UNPATCHED_CALLS];

    if (!(platform->info.capabilities & TG_CAP_PATCHING) || *unpatched > all)
        *unpatched = all;
    numbers[COUNTER_PATCHED_CALLS] = all - *unpatched;
}

/* What contexts have counted that are gone is in the platform's numbers already. */
static void add_contexts(struct tg_platform *platform, uint64_t numbers[COUNTERS])
{
    const struct list *node;

    pthread_mutex_lock(&platform->lock);
    for (size_t i = 0; i < CONTEXT_COUNTERS; i++)
        numbers[context_counters[i]] = atomic_load(&platform->counters[context_counters[i]]);
    list_for_each(node, &platform->contexts)
    {
        const struct tg_context *context = container_of(node, struct tg_context, node);

        for (size_t i = 0; i < CONTEXT_COUNTERS; i++)
            numbers[context_counters[i]] += context_counted(context, i);
    }
    pthread_mutex_unlock(&platform->lock);
}

void platform_stats(const struct tg_platform *platform, struct tg_stats *out)
{
    uint64_t numbers[COUNTERS];

    _Static_assert(sizeof(numbers) == sizeof(*out) - offsetof(struct tg_stats, subprocesses), "a counter a number");
    for (size_t i = 0; i < COUNTERS; i++)
        numbers[i] = atomic_load_explicit(&platform->counters[i], memory_order_relaxed);
    add_contexts((struct tg_platform *)(uintptr_t)platform, numbers);
    divide_calls(platform, numbers);
    numbers[COUNTER_PATCH_SITES] = numbers[COUNTER_PATCH_SITES_BEFORE] + numbers[COUNTER_PATCH_SITES_AFTER];
    if (platform->ops->add_stub_numbers)
        platform->ops->add_stub_numbers(platform, &numbers[COUNTER_STUB_SPINS], &numbers[COUNTER_STUB_SLEEPS]);
    memset(out, 0, sizeof(*out));
    out->size = sizeof(*out);
    memcpy(&out->subprocesses, numbers, sizeof(numbers));
}

void platform_close(struct tg_platform *platform)
{
    while (!list_empty(&platform->queues))
        queue_destroy(container_of(platform->queues.next, struct tg_queue, node));
    while (!list_empty(&platform->subprocesses))
        subprocess_destroy(container_of(platform->subprocesses.next, struct tg_subprocess, node));
    while (!list_empty(&platform->contexts))
        context_free(container_of(platform->contexts.next, struct tg_context, node));
    platform->ops->close(platform);
    platform_free(platform);
}
