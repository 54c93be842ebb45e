/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Contexts: their life, their state, and running them. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "arch.h"
#include "guest.h"
#include "model.h"

#define COPY_RANGE   0x4000
#define COPY_LARGEST 8192 /* some that no worker copies, too */
#define PIECES_MOST  20

static struct context *any(struct thread *thread, struct platform *platform)
{
    return &platform->contexts[random_below(thread, CONTEXTS)];
}

static enum mode take_or_alone(struct thread *thread)
{
    return random_below(thread, 2) ? TAKE : ALONE;
}

/* ALONE, and in no queue: there is nobody for whom it could be busy. */
static bool nobody_has(const struct platform *platform, const struct context *context, enum mode mode)
{
    return mode == ALONE && !is_submitted(platform, context) && !atomic_load(&context->one_thread);
}

static void check_taken(const struct platform *platform, const char *text, int result, bool free)
{
    if (result == -EBUSY && free)
        wrong("%s: busy, but nobody uses the context", text);
    check_allowed(platform, text, result, (const int[]){-EINVAL, -EBUSY, -ENOMEM, -EAGAIN, 0});
}

/* A call that only one thread at a time can make. */
#define TAKING(thread, platform, context, mode, call)                                                                  \
    __extension__({                                                                                                    \
        bool context_is_free = nobody_has((platform), (context), (mode));                                              \
        int taking_result = CALL((thread), (call));                                                                    \
        check_taken((platform), #call, taking_result, context_is_free);                                                \
        taking_result;                                                                                                 \
    })

/* ---- life ---- */

static void create(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    tg_context *made = NULL;

    if (!handle_reserve(&context->handle))
        return;
    atomic_store(&context->one_thread, false);
    atomic_store(&context->kind, GUEST_OTHER);
    atomic_store(&context->next, 0);
    RESULT(thread, platform, tg_context_create(platform->handle.object, &made), -ENOMEM);
    handle_made(&context->handle, made);
}

static void destroy(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);

    if (is_submitted(platform, context) || !handle_end(&context->handle))
        return;
    /* Somebody may have submitted it in between. */
    if (is_submitted(platform, context)) {
        handle_made(&context->handle, context->handle.object);
        return;
    }
    CALL_VOID(thread, tg_context_destroy(context->handle.object));
    handle_gone(&context->handle);
}

/* The caller has the context for itself. */
static void start_as(struct thread *thread, struct platform *platform, struct context *context, enum guest_kind kind)
{
    tg_context *handle = context->handle.object;
    uint64_t code = guests_code(thread, kind);

    if (TAKING(thread, platform, context, ALONE, tg_context_start(handle, code, guests_stack_top)))
        return;
    if (is_submitted(platform, context))
        return;
    if (kind == GUEST_SPINS)
        arch_set_argument(handle, 0, guests_word_address(context->number));
    else if (kind == GUEST_OTHER)
        arch_set_argument(handle, 0, guests_arena_at + 8 * random_below(thread, 4096));
    atomic_store(&context->kind, kind);
    atomic_store(&context->next, kind == GUEST_COUNTS ? 1 : 0);
}

static void start(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);

    if (!handle_use(&context->handle, ALONE))
        return;
    start_as(thread, platform, context, (enum guest_kind)random_below(thread, 3));
    handle_leave(&context->handle, ALONE);
}

static void copy(struct thread *thread, struct platform *platform)
{
    struct context *to = any(thread, platform);
    struct context *from = any(thread, platform);
    enum mode mode = random_below(thread, 2) ? READ : TAKE;
    int result;

    if (to == from || !handle_use(&to->handle, ALONE))
        return;
    if (handle_use(&from->handle, mode)) {
        result = CALL(thread, tg_context_copy(to->handle.object, from->handle.object));
        check_allowed(platform, "tg_context_copy", result, (const int[]){-EBUSY, 0});
        if (!result && !is_submitted(platform, to)) {
            /* Its argument stays the other's word. */
            atomic_store(&to->kind, GUEST_OTHER);
            atomic_store(&to->next, 0);
        }
        handle_leave(&from->handle, mode);
    }
    handle_leave(&to->handle, ALONE);
}

/* ---- state ---- */

static void read_state(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    const tg_regs *regs;
    tg_context *handle;
    bool submitted;
    uint64_t tls;
    int result;

    if (!handle_use(&context->handle, READ))
        return;
    handle = context->handle.object;
    submitted = is_submitted(platform, context);
    regs = CALL(thread, tg_context_regs(handle));
    if (!regs)
        wrong("tg_context_regs: NULL");
    if (!submitted && regs->size != sizeof(*regs))
        wrong("tg_context_regs: not the size of registers");
    result = CALL(thread, tg_context_get_tls(handle, &tls));
    if (result && !submitted)
        wrong("tg_context_get_tls: %d", result);
    CALL(thread, tg_context_user_data(handle));
    handle_leave(&context->handle, READ);
}

static void get_fpstate(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    enum mode mode = random_below(thread, 2) ? READ : take_or_alone(thread);

    if (!handle_use(&context->handle, mode))
        return;
    TAKING(thread, platform, context, mode,
           tg_context_get_fpstate(context->handle.object, thread->state, sizeof(thread->state)));
    handle_leave(&context->handle, mode);
}

static void set_fpstate(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    const size_t size = platform->info.fpstate_size;
    enum mode mode = take_or_alone(thread);

    if (!handle_use(&context->handle, mode))
        return;
    if (random_below(thread, 4) == 0)
        thread->state[random_below(thread, size)] ^= (unsigned char)random_below(thread, 256);
    TAKING(thread, platform, context, mode, tg_context_set_fpstate(context->handle.object, thread->state, size));
    handle_leave(&context->handle, mode);
}

static void set_flags(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    uint32_t flags = random_below(thread, 2) ? TG_CONTEXT_ONE_THREAD : 0;

    if (!handle_use(&context->handle, ALONE))
        return;
    if (flags)
        atomic_store(&context->one_thread, true);
    TAKING(thread, platform, context, ALONE, tg_context_set_flags(context->handle.object, flags));
    handle_leave(&context->handle, ALONE);
}

static void set_something(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    enum mode mode = take_or_alone(thread);
    tg_context *handle;

    if (!handle_use(&context->handle, mode))
        return;
    handle = context->handle.object;
    switch (random_below(thread, 3)) {
    case 0:
        TAKING(thread, platform, context, mode, tg_context_set_user_data(handle, thread->calls));
        break;
    case 1:
        TAKING(thread, platform, context, mode,
               tg_context_set_tls(handle, random_below(thread, 4) ? guests_arena_at : ~0ull));
        break;
    default:
        atomic_store(&context->next, 0);
        TAKING(thread, platform, context, mode, tg_context_restart_syscall(handle));
        atomic_store(&context->next, 0);
    }
    handle_leave(&context->handle, mode);
}

static void set_return(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);

    if (!handle_use(&context->handle, ALONE))
        return;
    TAKING(thread, platform, context, ALONE,
           tg_context_set_return(context->handle.object, (int64_t)random_below(thread, 4096)));
    handle_leave(&context->handle, ALONE);
}

/* Single steps, other places, and registers that a processor refuses. */
static void change_regs(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    tg_context *handle;

    if (!handle_use(&context->handle, ALONE))
        return;
    handle = context->handle.object;
    if (!is_submitted(platform, context)) {
        if (!CALL(thread, tg_context_regs_mut(handle)))
            wrong("tg_context_regs_mut: NULL, but nobody uses the context");
        if (atomic_load(&context->kind) == GUEST_OTHER) {
            arch_set_step(handle, random_below(thread, 2));
            if (random_below(thread, 4) == 0)
                arch_fill_registers(handle, thread->calls);
            arch_set_ip(handle, guests_code(thread, GUEST_OTHER));
        }
    } else {
        CALL(thread, tg_context_regs_mut(handle));
    }
    handle_leave(&context->handle, ALONE);
}

static void interrupt(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);

    if (!handle_use(&context->handle, PROD))
        return;
    RESULT(thread, platform, tg_context_interrupt(context->handle.object));
    handle_leave(&context->handle, PROD);
}

static void set_word(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    const uint32_t index = (uint32_t)random_below(thread, TG_CONTEXT_WORDS + 1);
    int result;

    if (!handle_use(&context->handle, PROD))
        return;
    result = CALL(thread, tg_context_set_word(context->handle.object, index, thread->calls));
    if (result != (index < TG_CONTEXT_WORDS ? 0 : -EINVAL))
        wrong("tg_context_set_word: %d", result);
    handle_leave(&context->handle, PROD);
}

/* ---- running ---- */

/* A call that came twice, or not at all, shows in the next one's argument. */
static void check_event(struct context *context, const tg_event *event)
{
    uint64_t next = atomic_load(&context->next);

    if (event->kind < TG_EVENT_SYSCALL || event->kind > TG_EVENT_DEAD)
        wrong("an event of kind %u", event->kind);
    if (event->context != context->handle.object)
        wrong("another context's event");
    if (next && event->kind == TG_EVENT_SYSCALL) {
        if (event->u.syscall.args[0] != next)
            wrong("call %llu came where %llu was next", (unsigned long long)event->u.syscall.args[0],
                  (unsigned long long)next);
        atomic_store(&context->next, next + 1);
    } else if (next && event->kind != TG_EVENT_INTERRUPTED) {
        atomic_store(&context->next, 0);
    }
}

/* Now and then with registers. */
static int switch_by(struct thread *thread, tg_context *context, tg_subprocess *subprocess, tg_event *event)
{
    tg_regs regs = {.size = sizeof(regs)};

    if (random_below(thread, 2))
        return tg_context_switch(context, subprocess, event);
    return tg_context_exchange(context, subprocess, &regs, TG_EXCHANGE_NOTHING, event);
}

static int switch_alone(struct thread *thread, struct platform *platform, struct context *context,
                        struct subprocess *subprocess, tg_event *event)
{
    int result = TAKING(thread, platform, context, ALONE,
                        switch_by(thread, context->handle.object, subprocess->handle.object, event));

    if (!result)
        check_event(context, event);
    return result;
}

/* True: the handle of the subprocess was left. */
static bool switch_spinner(struct thread *thread, struct platform *platform, struct context *context,
                           struct subprocess *subprocess)
{
    tg_event event = new_event();

    if (is_submitted(platform, context))
        return false;
    spinner_enters(thread, &subprocess->handle, context->number);
    switch_alone(thread, platform, context, subprocess, &event);
    spinner_leaves(thread, &subprocess->handle);
    return true;
}

static void switch_often(struct thread *thread, struct platform *platform, struct context *context,
                         struct subprocess *subprocess)
{
    uint64_t times = random_below(thread, 8) ? 1 : 40;
    tg_event event = new_event();

    for (uint64_t i = 0; i < times; i++) {
        if (switch_alone(thread, platform, context, subprocess, &event) || event.kind == TG_EVENT_DEAD)
            return;
        if (event.kind == TG_EVENT_FAULT || event.kind == TG_EVENT_EXCEPTION)
            start_as(thread, platform, context, GUEST_COUNTS);
    }
}

static void run(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    bool left = false;

    if (!handle_use(&context->handle, ALONE))
        return;
    if (handle_use(&subprocess->handle, TAKE)) {
        if (atomic_load(&context->kind) == GUEST_SPINS)
            left = switch_spinner(thread, platform, context, subprocess);
        else
            switch_often(thread, platform, context, subprocess);
        if (!left)
            handle_leave(&subprocess->handle, TAKE);
    }
    handle_leave(&context->handle, ALONE);
}

static int copy_by(tg_context *context, tg_subprocess *subprocess, unsigned int kind, uint64_t addr, char *buffer,
                   size_t n, size_t *done)
{
    switch (kind) {
    case 0:
        return tg_context_read(context, subprocess, addr, buffer, n, done);
    case 1:
        return tg_context_write(context, subprocess, addr, buffer, n, done);
    default:
        return tg_context_read_string(context, subprocess, addr, buffer, n, done);
    }
}

/* Mostly where there is something, and whether or not the context ran there. */
static void copy_memory(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    const uint64_t addr = guests_arena_at + random_below(thread, COPY_RANGE);
    const unsigned int kind = random_below(thread, 3);
    char buffer[COPY_LARGEST] = {0};
    const size_t n = random_below(thread, random_below(thread, 4) ? 64 : sizeof(buffer));
    size_t done = n + 1;
    int result;

    if (!handle_use(&context->handle, TAKE))
        return;
    if (handle_use(&subprocess->handle, TAKE)) {
        result = CALL(thread, copy_by(context->handle.object, subprocess->handle.object, kind, addr, buffer, n, &done));
        check_allowed(platform, "copy by a context", result,
                      (const int[]){-EBUSY, -EFAULT, -ESRCH, -EINVAL, -ENOMEM, 0});
        if (done > n || (result == 0 && kind < 2 && done != n))
            wrong("copy by a context: %d, %zu of %zu done", result, done, n);
        handle_leave(&subprocess->handle, TAKE);
    }
    handle_leave(&context->handle, TAKE);
}

static void check_done(const tg_transfer *pieces, size_t n, int result)
{
    bool ended = false;

    for (size_t i = 0; i < n; i++) {
        const tg_transfer *piece = &pieces[i];

        if (piece->done > piece->length || (ended && piece->done))
            wrong("tg_context_transfer: piece %zu: %llu done", i, (unsigned long long)piece->done);
        ended = ended || (piece->kind != TG_TRANSFER_STRING && piece->done < piece->length);
    }
    if (result == 0 && ended)
        wrong("tg_context_transfer: 0, and not all is done");
}

static void transfer(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    const size_t n = random_below(thread, PIECES_MOST);
    tg_transfer pieces[PIECES_MOST];
    char buffers[PIECES_MOST][1024] = {{0}};
    int result;

    for (size_t i = 0; i < n; i++)
        pieces[i] = (tg_transfer){.size = sizeof(pieces[i]),
                                  .kind = TG_TRANSFER_READ + (uint32_t)random_below(thread, 3),
                                  .addr = guests_arena_at + random_below(thread, COPY_RANGE),
                                  .buffer = buffers[i],
                                  .length = random_below(thread, random_below(thread, 8) ? 64 : sizeof(buffers[i]))};
    if (!handle_use(&context->handle, TAKE))
        return;
    if (handle_use(&subprocess->handle, TAKE)) {
        result = CALL(thread, tg_context_transfer(context->handle.object, subprocess->handle.object, pieces, n));
        check_allowed(platform, "tg_context_transfer", result,
                      (const int[]){-EBUSY, -EFAULT, -ESRCH, -EINVAL, -ENOMEM, 0});
        if (result == 0 || result == -EFAULT)
            check_done(pieces, n, result);
        handle_leave(&subprocess->handle, TAKE);
    }
    handle_leave(&context->handle, TAKE);
}

/* Nobody else runs it: the bytes stay. What another thread declares meanwhile is no matter. */
static void take_brought(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    const uint32_t piece = (uint32_t)random_below(thread, TG_BRING_PIECES + 1);
    const unsigned char *bytes = NULL;
    size_t length = 99;
    int result;

    if (!handle_use(&context->handle, ALONE))
        return;
    if (handle_use(&subprocess->handle, TAKE)) {
        result = CALL(thread, tg_context_brought(context->handle.object, subprocess->handle.object, piece,
                                                 (const void **)&bytes, &length));
        check_allowed(platform, "tg_context_brought", result,
                      (const int[]){-EBUSY, -EFAULT, -ESRCH, -EINVAL, -ENOMEM, 0});
        if (result ? bytes || length : !bytes || length > TG_BRING_MAX || bytes[length])
            wrong("tg_context_brought: %d, %zu bytes at %p", result, length, (const void *)bytes);
        handle_leave(&subprocess->handle, TAKE);
    }
    handle_leave(&context->handle, ALONE);
}

static void attach(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    const uint64_t addr = guests_arena_at + random_below(thread, COPY_RANGE);
    const char bytes[512] = {0};
    const size_t n = random_below(thread, sizeof(bytes));
    int result;

    if (!handle_use(&context->handle, TAKE))
        return;
    result = CALL(thread, tg_context_attach(context->handle.object, addr, bytes, n));
    check_allowed(platform, "tg_context_attach", result, (const int[]){-EBUSY, -EINVAL, -ENOMEM, 0});
    handle_leave(&context->handle, TAKE);
}

/* Several threads at once: one runs it, the others hear that it is busy. */
static void run_shared(struct thread *thread, struct platform *platform)
{
    struct context *context = any(thread, platform);
    struct subprocess *subprocess = &platform->subprocesses[random_below(thread, SUBPROCESSES)];
    tg_event event = new_event();

    if (atomic_load(&context->kind) == GUEST_SPINS || !handle_use(&context->handle, TAKE))
        return;
    if (handle_use(&subprocess->handle, TAKE)) {
        atomic_store(&context->next, 0);
        TAKING(thread, platform, context, TAKE,
               tg_context_switch(context->handle.object, subprocess->handle.object, &event));
        atomic_store(&context->next, 0);
        handle_leave(&subprocess->handle, TAKE);
    }
    handle_leave(&context->handle, TAKE);
}

const struct random_call context_calls[] = {
    {6, create},       {1, destroy},     {6, start},     {2, copy},          {6, read_state},
    {3, get_fpstate},  {3, set_fpstate}, {1, set_flags}, {4, set_something}, {6, set_return},
    {3, change_regs},  {3, interrupt},   {40, run},      {8, run_shared},    {8, copy_memory},
    {8, take_brought}, {8, attach},      {4, set_word},  {8, transfer},      {0, NULL},
};
