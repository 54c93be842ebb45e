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

#include "core/ptrace/lazy_fp.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/tracer_thread.h"

static struct tg_platform *platform_of(const struct stub_thread *thread)
{
    return thread->subprocess->base.platform;
}

/* A number that no FP state of the platform has had before. */
static uint64_t next_version(struct tracer *tracer)
{
    return tracer->serial << 40 | (++tracer->fp_counter & 0xffffffffff);
}

/*
 * context->fp_holder and thread->fp_context point to each other. They are set by
 * the thread that runs the context, which has both in its hands, and cleared
 * with fp_lock by whoever comes first: it, a destroyer of either, or the
 * holder's tracer that needs the stub thread for another context. With the
 * lock, what one of them points to is there: it clears the pair before it goes.
 */
static void link_holder(struct ptrace_context *context, struct stub_thread *thread)
{
    struct ptrace_platform *pp = ptrace_platform(platform_of(thread));

    /* Nobody clears it meanwhile: the context is taken, and the thread is in use. */
    if (atomic_load(&context->fp_holder) == thread)
        return;
    pthread_mutex_lock(&pp->fp_lock);
    atomic_store(&context->fp_holder, thread);
    atomic_store(&thread->fp_context, context);
    pthread_mutex_unlock(&pp->fp_lock);
}

/* fp_lock is held. */
static void unlink_pair(struct ptrace_context *context, struct stub_thread *thread)
{
    atomic_store(&context->fp_holder, NULL);
    atomic_store(&thread->fp_context, NULL);
}

static void unlink_holder(struct ptrace_context *context)
{
    struct ptrace_platform *pp = ptrace_platform(context->base.platform);
    struct stub_thread *thread;

    pthread_mutex_lock(&pp->fp_lock);
    thread = atomic_load(&context->fp_holder);
    if (thread)
        unlink_pair(context, thread);
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
    struct ptrace_platform *pp = ptrace_platform(platform_of(thread));
    struct ptrace_context *context;
    int err = 0;

    /* Others only clear it. */
    if (!atomic_load(&thread->fp_context))
        return 0;
    /* Its id may be another's: of a child of the embedder's, or of a stub thread of the same tracer. */
    if (atomic_load(&thread->reaped)) {
        fp_forget_thread(thread);
        return 0;
    }
    /* Until it is saved: another thread may destroy the context meanwhile. */
    pthread_mutex_lock(&pp->fp_lock);
    context = atomic_load(&thread->fp_context);
    if (context) {
        err = save(context, thread);
        unlink_pair(context, thread);
    }
    pthread_mutex_unlock(&pp->fp_lock);
    return err;
}

/* What the guest did to the FP state since it was saved last is lost with the stub. */
void fp_forget_thread(struct stub_thread *thread)
{
    struct ptrace_platform *pp = ptrace_platform(platform_of(thread));
    struct ptrace_context *context;

    pthread_mutex_lock(&pp->fp_lock);
    context = atomic_load(&thread->fp_context);
    if (context)
        unlink_pair(context, thread);
    pthread_mutex_unlock(&pp->fp_lock);
}

int fp_load(struct ptrace_context *context, struct stub_thread *thread)
{
    struct tg_platform *platform = platform_of(thread);
    int err;

    if (context->fp_version && thread->fp_version == context->fp_version)
        return 0;
    err = ptrace_context_pull_fp(&context->base);
    if (!err)
        err = fp_evict(thread);
    if (!err) {
        thread->fp_version = 0;
        count(platform, COUNTER_FPSTATE_LOADS);
        err = stub_thread_set_fp(thread, context->base.fp, platform->info.fpstate_size);
    }
    if (err)
        return err;
    context->fp_version = next_version(atomic_load(&thread->tracer));
    thread->fp_version = context->fp_version;
    return 0;
}

int fp_after_run(struct ptrace_context *context, struct stub_thread *thread)
{
    context->last_thread = thread->tid;
    context->fp_version = next_version(atomic_load(&thread->tracer));
    thread->fp_version = context->fp_version;
    if (context->base.flags & TG_CONTEXT_ONE_THREAD) {
        link_holder(context, thread);
        return 0;
    }
    return save(context, thread);
}

/*
 * The stub thread that holds the state, if it is the caller's own; its
 * subprocess is entered. NULL when there is none any more. The caller may have
 * swept its pool there already, so outside the lock only the visit keeps it.
 */
static int enter_own_holder(struct ptrace_context *context, struct stub_thread **out)
{
    struct ptrace_platform *pp = ptrace_platform(context->base.platform);
    const struct tracer *own = tracer_find(context->base.platform);
    struct stub_thread *thread;
    bool foreign;

    pthread_mutex_lock(&pp->fp_lock);
    thread = atomic_load(&context->fp_holder);
    foreign = thread && atomic_load(&thread->tracer) != own;
    if (thread && !foreign && !subprocess_enter(&thread->subprocess->base)) {
        unlink_pair(context, thread);
        thread = NULL;
    }
    pthread_mutex_unlock(&pp->fp_lock);
    *out = thread;
    return foreign ? -EBUSY : 0;
}

int ptrace_context_pull_fp(struct tg_context *base)
{
    struct ptrace_context *context = to_ptrace_context(base);
    struct stub_thread *thread;
    int err;

    /* Whoever calls has taken the context: it gets no holder meanwhile. */
    if (!atomic_load(&context->fp_holder))
        return 0;
    if (enter_own_holder(context, &thread))
        return platform_fail(base->platform, -EBUSY,
                             "read an FP state: it is in a stub thread of another thread's (TG_CONTEXT_ONE_THREAD); "
                             "read it there first");
    if (!thread)
        return 0;
    err = fp_evict(thread);
    subprocess_leave(&thread->subprocess->base);
    /* The stub is dead: the state that was saved last is what there is. */
    return err == -ESRCH ? 0 : err;
}

void ptrace_context_reset(struct tg_context *base)
{
    struct ptrace_platform *pp = ptrace_platform(base->platform);

    ptrace_context_fp_changes(base);
    memcpy(base->fp, pp->fp_initial, base->platform->info.fpstate_size);
}

void ptrace_context_fp_changes(struct tg_context *base)
{
    struct ptrace_context *context = to_ptrace_context(base);

    if (atomic_load(&context->fp_holder))
        unlink_holder(context);
    context->fp_version = 0;
}

void ptrace_context_destroy(struct tg_context *base)
{
    unlink_holder(to_ptrace_context(base));
}
