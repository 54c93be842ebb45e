/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where a context's FP state is. Reading and writing it costs a fifth of a
 * switch, so it is written to a stub thread only when that does not hold it
 * already, which a version number tells. It is read after every run, because
 * the thread that wants it next cannot ask this tracer's stub thread; only a
 * context that belongs to one thread (TG_CONTEXT_ONE_THREAD) leaves it where
 * it is.
 */
#include <errno.h>
#include <string.h>

#include "core/ptrace/ptrace_backend.h"

static struct tg_platform *platform_of(const struct stub_thread *thread)
{
    return thread->subprocess->base.platform;
}

/* A number that no FP state of the platform has had before. */
static uint64_t next_version(struct tracer *tracer)
{
    return tracer->serial << 40 | (++tracer->fp_counter & 0xffffffffff);
}

/* Who holds what is looked at by other threads when they destroy something. */
static void link_holder(struct ptrace_context *context, struct stub_thread *thread)
{
    struct ptrace_platform *pp = ptrace_platform(platform_of(thread));

    if (context->fp_holder == thread)
        return;
    pthread_mutex_lock(&pp->fp_lock);
    context->fp_holder = thread;
    thread->fp_owner = context;
    pthread_mutex_unlock(&pp->fp_lock);
}

static void unlink_holder(struct ptrace_context *context)
{
    struct ptrace_platform *pp = ptrace_platform(context->base.platform);

    pthread_mutex_lock(&pp->fp_lock);
    if (context->fp_holder) {
        context->fp_holder->fp_owner = NULL;
        context->fp_holder = NULL;
    }
    pthread_mutex_unlock(&pp->fp_lock);
}

static int save(struct ptrace_context *context, struct stub_thread *thread)
{
    struct tg_platform *platform = platform_of(thread);

    count(platform, COUNTER_FPSTATE_SAVES);
    return stub_thread_get_fp(thread, context->base.fp, platform->info.fpstate_size);
}

int fp_evict(struct stub_thread *thread)
{
    struct ptrace_context *context = thread->fp_owner;
    int err;

    if (!context)
        return 0;
    err = save(context, thread);
    unlink_holder(context);
    return err;
}

void fp_forget_thread(struct stub_thread *thread)
{
    struct ptrace_platform *pp = ptrace_platform(platform_of(thread));

    pthread_mutex_lock(&pp->fp_lock);
    if (thread->fp_owner) {
        /* What the guest did to it since it was saved last is lost with the stub. */
        thread->fp_owner->fp_version = 0;
        thread->fp_owner->fp_holder = NULL;
        thread->fp_owner = NULL;
    }
    pthread_mutex_unlock(&pp->fp_lock);
}

int fp_load(struct ptrace_context *context, struct stub_thread *thread)
{
    struct tg_platform *platform = platform_of(thread);
    int err;

    if (context->fp_version && thread->fp_version == context->fp_version)
        return 0;
    err = context->fp_holder ? ptrace_context_pull_fp(&context->base) : 0;
    if (!err)
        err = fp_evict(thread);
    if (!err) {
        thread->fp_version = 0;
        count(platform, COUNTER_FPSTATE_LOADS);
        err = stub_thread_set_fp(thread, context->base.fp, platform->info.fpstate_size);
    }
    if (err)
        return err;
    context->fp_version = next_version(thread->tracer);
    thread->fp_version = context->fp_version;
    return 0;
}

int fp_after_run(struct ptrace_context *context, struct stub_thread *thread)
{
    context->last_thread = thread->tid;
    context->fp_version = next_version(thread->tracer);
    thread->fp_version = context->fp_version;
    if (context->base.flags & TG_CONTEXT_ONE_THREAD) {
        link_holder(context, thread);
        return 0;
    }
    return save(context, thread);
}

int ptrace_context_pull_fp(struct tg_context *base)
{
    struct ptrace_context *context = to_ptrace_context(base);
    struct stub_thread *thread = context->fp_holder;
    int err;

    if (!thread)
        return 0;
    if (thread->tracer != tracer_find(base->platform))
        return platform_fail(base->platform, -EBUSY,
                             "read an FP state: it is in a stub thread of another thread's (TG_CONTEXT_ONE_THREAD); "
                             "read it there first");
    if (!subprocess_enter(&thread->subprocess->base)) {
        unlink_holder(context);
        return 0;
    }
    err = fp_evict(thread);
    subprocess_leave(&thread->subprocess->base);
    /* The stub is dead: the state that was saved last is what there is. */
    return err == -ESRCH ? 0 : err;
}

void ptrace_context_reset(struct tg_context *base)
{
    struct ptrace_platform *pp = ptrace_platform(base->platform);

    memcpy(base->fp, pp->fp_initial, base->platform->info.fpstate_size);
    ptrace_context_fp_changed(base);
}

void ptrace_context_fp_changed(struct tg_context *base)
{
    struct ptrace_context *context = to_ptrace_context(base);

    if (context->fp_holder)
        unlink_holder(context);
    context->fp_version = 0;
}

void ptrace_context_destroy(struct tg_context *base)
{
    unlink_holder(to_ptrace_context(base));
}
