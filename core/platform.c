/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch_vdso.h"
#include "core/backend.h"
#include "core/guest_clocks.h"
#include "core/lowest_address.h"
#include "core/stub_vdso.h"
#include "core/trial.h"

static _Atomic uint64_t next_platform_id = 1;

#define ADDRESS_OF_BACKEND(name) &name##_backend,

/* In the order in which AUTO tries them. */
static const struct backend_ops *const backends[] = {BACKENDS(ADDRESS_OF_BACKEND)};

#define BACKEND_COUNT (sizeof(backends) / sizeof(backends[0]))

/* Who this process is: its number, and a page that children find empty. */
static int learn_opener(struct tg_platform *platform, struct open_report *report)
{
    const size_t size = platform->info.page_size;
    uint32_t *opener = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (opener == MAP_FAILED)
        return open_report_call(report, "allocate", "mmap(2)", -errno);
    platform->wipes_opener = !madvise(opener, size, MADV_WIPEONFORK);
    *opener = 1;
    platform->opener = opener;
    /* The C library expects no error of it, and hands out what the kernel says. */
    platform->embedder = getpid();
    if (platform->embedder <= 0)
        return open_report_call(report, "ask for this process's number", "getpid(2)", platform->embedder);
    return 0;
}

static int learn_user_space(struct tg_platform *platform, struct open_report *report)
{
    int err = tgi_arch.user_space(&platform->user_space);

    return err ? open_report_call(report, "find the end of user space", "mmap(2)", err) : 0;
}

static void platform_free(struct tg_platform *platform)
{
    if (platform->opener)
        munmap((void *)(uintptr_t)platform->opener, platform->info.page_size);
    pthread_mutex_destroy(&platform->lock);
    pthread_mutex_destroy(&platform->clocks_lock);
    free(platform);
}

/* What no backend has to say; it may have said more. */
static void fill_info(struct tg_platform *platform, uint64_t flags)
{
    struct tg_info *info = &platform->info;

    info->size = sizeof(*info);
    info->user_start = lowest_address(info->page_size);
    info->user_end_min = platform->user_space.end_min;
    info->capabilities |= tgi_arch.capabilities;
    if (tgi_arch.can_trap_cpuid && (flags & TG_OPEN_TRAP_CPUID || tgi_arch.can_trap_cpuid()))
        info->capabilities |= TG_CAP_TRAP_CPUID;
    if (tgi_arch.can_trap_tsc && (flags & TG_OPEN_TRAP_TSC || tgi_arch.can_trap_tsc()))
        info->capabilities |= TG_CAP_TRAP_TSC;
}

/* What no machine of this architecture has. */
static int check_architecture(const struct backend_ops *ops, uint64_t flags, struct open_report *report)
{
    if (!ops->is_ported()) {
        open_report_fill(report, "choose a backend", "use another backend or another machine",
                         "the %s backend is not ported to this processor yet", ops->name);
        return -EOPNOTSUPP;
    }
    if ((flags & TG_OPEN_TRAP_CPUID && !tgi_arch.stub_trap_cpuid) ||
        (flags & TG_OPEN_TRAP_TSC && !tgi_arch.stub_trap_tsc)) {
        open_report_fill(report, "look at the processor", "open without TG_OPEN_TRAP_CPUID and TG_OPEN_TRAP_TSC",
                         "this kind of processor has no such trap");
        return -EOPNOTSUPP;
    }
    return 0;
}

/* Where the clock that it reads traps, its functions would too. */
static bool wants_vdso(uint64_t flags)
{
    return flags & TG_OPEN_VDSO && !(flags & TG_OPEN_TRAP_TSC);
}

static int open_backend(const struct backend_ops *ops, const struct tg_platform_options *options,
                        struct open_report *report, struct tg_platform **out)
{
    struct tg_platform *platform;
    int err = check_architecture(ops, options->flags, report);

    if (err)
        return err;
    platform = calloc(1, sizeof(*platform));
    if (!platform) {
        open_report_fill(report, "allocate", "free some memory", "no memory for the platform");
        return -ENOMEM;
    }
    platform->ops = ops;
    platform->id = atomic_fetch_add(&next_platform_id, 1);
    platform->measures_latency = options->flags & TG_OPEN_LATENCY;
    platform->host_vdso = wants_vdso(options->flags) ? stub_vdso_of_host() : 0;
    platform->own_vdso = options->flags & TG_OPEN_VDSO_OWN && tgi_arch_vdso;
    pthread_mutex_init(&platform->lock, NULL);
    pthread_mutex_init(&platform->clocks_lock, NULL);
    list_init(&platform->subprocesses);
    list_init(&platform->contexts);
    list_init(&platform->queues);
    platform->info.backend = ops->backend;
    platform->info.arch = tgi_arch.audit_arch;
    platform->info.page_size = (uint32_t)sysconf(_SC_PAGESIZE);

    err = learn_opener(platform, report);
    if (!err)
        err = learn_user_space(platform, report);
    if (!err)
        err = ops->open(platform, options, report);
    if (err) {
        platform_free(platform);
        return open_error(err);
    }
    fill_info(platform, options->flags);
    guest_clocks_learn(platform, options->flags);
    err = ops->needs_trial ? trial_run(platform, report) : 0;
    if (err) {
        platform_close(platform);
        return err;
    }
    /* First stubs that found their place taken, before another try, are no deaths of the embedder's. */
    atomic_store(&platform->counters[COUNTER_DEATHS], 0);
    *out = platform;
    return 0;
}

/* What each said; with several, whose it is. */
static void write_message(const struct tg_platform_options *options, const struct open_report *reports, size_t n)
{
    size_t length = 0;

    for (size_t i = 0; i < n && length < options->message_capacity; i++) {
        int written = snprintf(options->message + length, options->message_capacity - length, "%s%s%s%s: %s; %s",
                               i ? ". " : "", n > 1 ? backends[i]->name : "", n > 1 ? ": " : "", reports[i].step,
                               reports[i].reason, reports[i].remedy);

        length += written > 0 ? (size_t)written : 0;
    }
}

static const struct backend_ops *find_backend(uint32_t backend)
{
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        if (backends[i]->backend == backend)
            return backends[i];
    return NULL;
}

bool platform_knows(uint32_t backend)
{
    return backend <= TG_BACKEND_SYSTRAP || find_backend(backend);
}

static int open_one(const struct tg_platform_options *options, struct open_report *report, struct tg_platform **out)
{
    const struct backend_ops *ops = find_backend(options->backend);

    if (ops)
        return open_backend(ops, options, report, out);
    open_report_fill(report, "choose a backend", "use TG_BACKEND_AUTO", "this library was built without that backend");
    return -EOPNOTSUPP;
}

/* The first that opens, and a report of each before. The result of the last. */
static int open_first(const struct tg_platform_options *options, struct open_report reports[BACKEND_COUNT],
                      struct tg_platform **out)
{
    int err = -EOPNOTSUPP;

    for (size_t i = 0; i < BACKEND_COUNT && err; i++)
        err = open_backend(backends[i], options, &reports[i], out);
    return err;
}

/* "systrap: ...; ptrace: ...", as much of each as there is room for. */
static void join(char *text, size_t capacity, const struct open_report *reports, size_t member)
{
    const size_t room = capacity / BACKEND_COUNT - 1;
    size_t length = 0;

    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        const char *separator = i ? "; " : "";
        int written =
            snprintf(text + length, room, "%s%s: %s", separator, backends[i]->name, (const char *)&reports[i] + member);

        length += written < (int)room ? (size_t)written : room - 1;
    }
}

/* No backend works: what each said. */
static void join_reports(const struct open_report reports[BACKEND_COUNT], struct open_report *out)
{
    snprintf(out->step, sizeof(out->step), "try each backend");
    join(out->reason, sizeof(out->reason), reports, offsetof(struct open_report, reason));
    join(out->remedy, sizeof(out->remedy), reports, offsetof(struct open_report, remedy));
}

int platform_open(const struct tg_platform_options *options, struct tg_platform **out)
{
    struct open_report reports[BACKEND_COUNT];
    bool any = options->backend == TG_BACKEND_AUTO;
    int err = any ? open_first(options, reports, out) : open_one(options, reports, out);

    if (err && options->message && options->message_capacity)
        write_message(options, reports, any ? BACKEND_COUNT : 1);
    return err;
}

int platform_probe(uint32_t backend, struct tg_probe *out)
{
    const struct tg_platform_options options = {.size = sizeof(options), .backend = backend};
    struct open_report reports[BACKEND_COUNT];
    struct open_report report;
    struct tg_platform *platform = NULL;
    bool any = backend == TG_BACKEND_AUTO;
    int err = any ? open_first(&options, reports, &platform) : open_one(&options, &report, &platform);

    memset(out, 0, sizeof(*out));
    out->size = sizeof(*out);
    out->backend = backend;
    out->error = err;
    if (!platform) {
        if (any)
            join_reports(reports, &report);
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

/* In a process that was forked from the opener's. */
static void forget(struct tg_platform *platform)
{
    struct list *node;

    list_for_each(node, &platform->queues) queue_forget(container_of(node, struct tg_queue, node));
    list_for_each(node, &platform->subprocesses)
        subprocess_forget(container_of(node, struct tg_subprocess, node), true);
    if (platform->ops->forget)
        platform->ops->forget(platform);
}

void platform_close(struct tg_platform *platform)
{
    if (!platform_is_ours(platform)) {
        forget(platform);
        return;
    }
    if (platform->ops->end_guests)
        platform->ops->end_guests(platform);
    while (!list_empty(&platform->queues))
        queue_destroy(container_of(platform->queues.next, struct tg_queue, node));
    while (!list_empty(&platform->subprocesses))
        subprocess_destroy(container_of(platform->subprocesses.next, struct tg_subprocess, node));
    while (!list_empty(&platform->contexts))
        context_free(container_of(platform->contexts.next, struct tg_context, node));
    platform->ops->close(platform);
    platform_free(platform);
}

int platform_set_spin(struct tg_platform *platform, uint64_t ns)
{
    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, "set how long to spin");
    if (platform->ops->set_spin)
        platform->ops->set_spin(platform, ns);
    return 0;
}
