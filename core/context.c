/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The life of a context and the parts of its state that need no backend. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/attached.h"
#include "core/backend.h"
#include "core/brought.h"
#include "core/clock.h"

void context_read_clock(struct tg_context *context)
{
    context->started_ns = clock_monotonic_ns();
}

void context_stop_clock(struct tg_context *context)
{
    uint64_t took = (uint64_t)(clock_monotonic_ns() - context->started_ns);

    context->started_ns = 0;
    count_latency(context->platform, COUNTER_SWITCH_LATENCY, took);
}

/* Its last event is not there any more, nor the answer to it. */
static void forget_call(struct tg_context *context)
{
    context_forget_brought(context);
    context_drop_attached(context);
}

static void reset(struct tg_context *context)
{
    forget_call(context);
    context->platform->ops->context_reset(context);
    context->in_syscall = false;
    context_place_regs(context, REGS_HERE);
    tgi_arch.regs_init(&context->regs);
}

int context_create(struct tg_platform *platform, struct tg_context **out)
{
    struct tg_context *context = calloc(1, platform->ops->context_size);

    if (!context)
        return platform_fail(platform, -ENOMEM, "create a context: no memory for its handle");
    context->platform = platform;
    context->fp = malloc(platform->info.fpstate_size);
    if (!context->fp) {
        free(context);
        return platform_fail(platform, -ENOMEM, "create a context: no memory for its FP state");
    }
    if (platform->ops->context_create)
        platform->ops->context_create(context);
    reset(context);
    count(platform, COUNTER_CONTEXTS);
    platform_lock(platform);
    list_add_last(&platform->contexts, &context->node);
    platform_unlock(platform);
    *out = context;
    return 0;
}

void context_start(struct tg_context *context, uint64_t ip, uint64_t sp)
{
    reset(context);
    tgi_arch.set_start(&context->regs, ip, sp);
}

/* One of those who read brings the registers, the others wait for it. */
static void fetch_regs(struct tg_context *context)
{
    uint32_t place = REGS_BACKEND;

    if (atomic_compare_exchange_strong(&context->regs_place, &place, REGS_ON_THE_WAY)) {
        context->platform->ops->context_pull_regs(context);
        return;
    }
    while (context_regs_place(context) == REGS_ON_THE_WAY)
        sched_yield();
}

const tg_regs *context_regs(struct tg_context *context)
{
    enum regs_place place = context_regs_place(context);

    if (place == REGS_BACKEND || place == REGS_ON_THE_WAY)
        fetch_regs(context);
    return &context->regs;
}

tg_regs *context_regs_mut(struct tg_context *context)
{
    context_regs(context);
    context_place_regs(context, REGS_HERE);
    return &context->regs;
}

const tg_regs *context_bring_regs(struct tg_context *context)
{
    if (context_regs_place(context) == REGS_BACKEND)
        context->platform->ops->context_pull_regs(context);
    return &context->regs;
}

/* Where they are as they were brought, but for a result, the backend has them already. */
void context_set_regs(struct tg_context *context, const tg_regs *regs)
{
    const size_t start = offsetof(tg_regs, arch) + sizeof(regs->arch);

    if (context_regs_place(context) == REGS_BOTH) {
        context_answer(context, tgi_arch.result(regs));
        if (!memcmp((const char *)&context->regs + start, (const char *)regs + start, sizeof(*regs) - start))
            return;
    }
    memcpy((char *)&context->regs + start, (const char *)regs + start, sizeof(*regs) - start);
    context_place_regs(context, REGS_HERE);
}

int context_check_own_regs(struct tg_context *context, const char *what)
{
    const int err = tgi_arch.regs_check(&context->regs);

    if (err)
        platform_fail(context->platform, err,
                      "%s: a register of the context holds what the processor refuses (segment selectors, segment "
                      "bases)",
                      what);
    return err;
}

void context_answer(struct tg_context *context, int64_t value)
{
    if (context_regs_place(context) == REGS_HERE)
        tgi_arch.set_return(&context->regs, value);
    else
        context->platform->ops->context_set_return(context, value);
}

int context_set_return(struct tg_context *context, int64_t value)
{
    if (!context->in_syscall)
        return platform_fail(context->platform, -EINVAL,
                             "set a result: the context's last event was not a SYSCALL; to change what its guest "
                             "computes with, write its registers");
    context_answer(context, value);
    return 0;
}

int context_copy(struct tg_context *to, struct tg_context *from)
{
    struct tg_platform *platform = to->platform;
    int err = platform->ops->context_pull_fp(from);

    if (err)
        return err;
    forget_call(to);
    platform->ops->context_fp_changes(to);
    memcpy(to->fp, from->fp, platform->info.fpstate_size);
    *context_regs_mut(to) = *context_regs(from);
    to->in_syscall = from->in_syscall;
    to->syscall = from->syscall;
    return 0;
}

int context_get_fpstate(struct tg_context *context, void *buffer)
{
    int err = context->platform->ops->context_pull_fp(context);

    if (!err)
        memcpy(buffer, context->fp, context->platform->info.fpstate_size);
    return err;
}

int context_set_fpstate(struct tg_context *context, const void *image)
{
    struct tg_platform *platform = context->platform;
    int err = platform->ops->fp_check(platform, image);

    if (err)
        return platform_fail(platform, err, "set an FP state: the processor would refuse it");
    platform->ops->context_fp_changes(context);
    memcpy(context->fp, image, platform->info.fpstate_size);
    return 0;
}

int context_restart_syscall(struct tg_context *context)
{
    int err;

    if (!context->in_syscall)
        return platform_fail(context->platform, -EINVAL,
                             "restart a system call: the context's last event was not a SYSCALL");
    err = tgi_arch.restart_syscall(context_regs_mut(context), &context->syscall);
    if (err)
        return platform_fail(context->platform, err,
                             "restart a system call: the context is not where the call left it any more");
    context->in_syscall = false;
    forget_call(context);
    return 0;
}

void context_take_back(struct tg_context *context, const struct tg_event *event)
{
    if (event->kind == TG_EVENT_SYSCALL)
        context_restart_syscall(context);
    else if (event->kind == TG_EVENT_INTERRUPTED)
        interrupt_raise(&context->interrupt);
}

void context_destroy(struct tg_context *context)
{
    /* A process that was forked from the opener's has nothing of it to give back. */
    if (!context || platform_is_copy(context->platform))
        return;
    /* Freeing one that runs would pull the ground from under whoever runs it. Closing the platform frees it. */
    if (context_take(context))
        context_free(context);
    else
        platform_fail(context->platform, -EBUSY, "destroy a context: it is running; take its event first");
}

void context_free(struct tg_context *context)
{
    struct tg_platform *platform = context->platform;

    platform->ops->context_destroy(context);
    platform_lock(platform);
    list_remove(&context->node);
    for (size_t i = 0; i < CONTEXT_COUNTERS; i++)
        count_many(platform, context_counters[i], context_counted(context, i));
    platform_unlock(platform);
    uncount(platform, COUNTER_CONTEXTS);
    free(context->attached);
    free(context->brought);
    free(context->fp);
    free(context);
}
