/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Subprocesses: coming, going, dying, stopping, and all that is done to their memory. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "answers.h"
#include "model.h"

#define PAGE 4096

static struct subprocess *any(struct thread *thread, struct platform *platform)
{
    return &platform->subprocesses[random_below(thread, SUBPROCESSES)];
}

static void create(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    tg_subprocess *made = NULL;

    if (!handle_reserve(&subprocess->handle))
        return;
    atomic_store(&subprocess->stopped, false);
    if (!RESULT(thread, platform, tg_subprocess_create(platform->handle.object, &made), -EAGAIN, -ENOMEM, -EMFILE))
        RESULT(thread, platform, guests_load(made), -ENOMEM);
    handle_made(&subprocess->handle, made);
}

static void copy(struct thread *thread, struct platform *platform)
{
    struct subprocess *from = any(thread, platform);
    struct subprocess *to = any(thread, platform);
    tg_subprocess *made = NULL;

    if (!handle_use(&from->handle, TAKE))
        return;
    if (handle_reserve(&to->handle)) {
        atomic_store(&to->stopped, false);
        RESULT(thread, platform, tg_subprocess_fork(from->handle.object, &made), -EAGAIN, -ENOMEM, -EMFILE, -ESRCH);
        handle_made(&to->handle, made);
    }
    handle_leave(&from->handle, TAKE);
}

static void destroy(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);

    if (!handle_end(&subprocess->handle))
        return;
    CALL_VOID(thread, tg_subprocess_destroy(subprocess->handle.object));
    handle_gone(&subprocess->handle);
}

static void send(struct thread *thread, struct platform *platform, int signal)
{
    struct subprocess *subprocess = any(thread, platform);

    if (!handle_use(&subprocess->handle, PROD))
        return;
    signal_stub(subprocess, signal);
    atomic_store(&subprocess->stopped, signal == SIGSTOP);
    handle_leave(&subprocess->handle, PROD);
}

static void kill_stub(struct thread *thread, struct platform *platform)
{
    send(thread, platform, SIGKILL);
}

static void stop_stub(struct thread *thread, struct platform *platform)
{
    send(thread, platform, SIGSTOP);
}

/* In the arena, seldom where code is or where nothing may be. */
static void random_range(struct thread *thread, const struct platform *platform, uint64_t *addr, uint64_t *length)
{
    switch (random_below(thread, 16)) {
    case 0:
        *addr = guests_code_at;
        *length = guests_code_size;
        break;
    case 1:
        *addr = platform->info.user_end - PAGE * random_below(thread, 3);
        *length = PAGE;
        break;
    default:
        *addr = guests_arena_at + PAGE * random_below(thread, guests_arena_size / PAGE);
        *length = PAGE * (1 + random_below(thread, 4));
    }
}

static uint32_t random_prot(struct thread *thread)
{
    return (uint32_t)random_below(thread, 8);
}

static const int map_errors[] = {-EINVAL, -ENOMEM, -ESRCH, -EEXIST, -EACCES, -EAGAIN, 0};

static void fill_op(struct thread *thread, const struct platform *platform, tg_mem_op *op)
{
    *op = (tg_mem_op){
        .size = sizeof(*op),
        .kind = (uint32_t)(TG_MEM_MAP + random_below(thread, 4)),
        .prot = random_prot(thread),
        .fd = -1,
        .advice = 4 /* MADV_DONTNEED */,
    };
    if (op->kind == TG_MEM_MAP)
        op->flags = random_below(thread, 2) ? TG_MAP_NOREPLACE : 0;
    else if (op->kind != TG_MEM_PROTECT)
        op->prot = 0;
    random_range(thread, platform, &op->addr, &op->length);
}

static void apply(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    tg_mem_op ops[4];
    size_t n = 1 + random_below(thread, 4);
    size_t done = 99;
    int result;

    for (size_t i = 0; i < n; i++)
        fill_op(thread, platform, &ops[i]);
    if (!handle_use(&subprocess->handle, TAKE))
        return;
    result = CALL(thread, tg_subprocess_apply(subprocess->handle.object, ops, n, &done));
    check_allowed(platform, "tg_subprocess_apply", result, map_errors);
    if (done > n || (result == 0 && done != n))
        wrong("tg_subprocess_apply: %d, %zu of %zu done", result, done, n);
    handle_leave(&subprocess->handle, TAKE);
}

static void map_unmap_protect(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    uint64_t addr, length;
    tg_subprocess *handle;
    int result;

    random_range(thread, platform, &addr, &length);
    if (!handle_use(&subprocess->handle, TAKE))
        return;
    handle = subprocess->handle.object;
    switch (random_below(thread, 3)) {
    case 0:
        result = CALL(thread, tg_subprocess_map(handle, addr, length, random_prot(thread), TG_MAP_POPULATE, -1, 0));
        break;
    case 1:
        result = CALL(thread, tg_subprocess_unmap(handle, addr, length));
        break;
    default:
        result = CALL(thread, tg_subprocess_protect(handle, addr, length, random_prot(thread)));
    }
    check_allowed(platform, "map, unmap or protect", result, map_errors);
    handle_leave(&subprocess->handle, TAKE);
}

/* All of it once more, as a debugger or a loader would. */
static void reload(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    int result;

    if (!handle_use(&subprocess->handle, TAKE))
        return;
    /* Another thread may take the pages away in the middle of it. */
    result = CALL(thread, guests_load(subprocess->handle.object));
    if (result != -EFAULT)
        check_allowed(platform, "load a guest again", result, map_errors);
    handle_leave(&subprocess->handle, TAKE);
}

static void read_write(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    unsigned char buffer[2 * PAGE] = {0};
    size_t n = random_below(thread, sizeof(buffer));
    size_t done = n + 1;
    uint64_t addr, length;
    int result;

    random_range(thread, platform, &addr, &length);
    addr += random_below(thread, PAGE);
    if (!handle_use(&subprocess->handle, TAKE))
        return;
    if (random_below(thread, 2) || addr < guests_arena_at)
        result = CALL(thread, tg_subprocess_read(subprocess->handle.object, addr, buffer, n, &done));
    else
        result = CALL(thread, tg_subprocess_write(subprocess->handle.object, addr, buffer, n, &done));
    check_allowed(platform, "read or write", result, (const int[]){-EFAULT, -ESRCH, -EINVAL, -ENOMEM, 0});
    if (done > n || (result == 0 && done != n))
        wrong("read or write: %d, %zu of %zu done", result, done, n);
    handle_leave(&subprocess->handle, TAKE);
}

/* Of the call that guests make, and of others. */
static void set_brings(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    const size_t n = random_below(thread, 4);
    tg_bring pieces[3];
    int result;

    for (size_t i = 0; i < n; i++)
        pieces[i] = (tg_bring){
            .size = sizeof(pieces[i]),
            .kind = (uint32_t)(TG_BRING_BYTES + random_below(thread, 3)),
            .nr = random_below(thread, 8) ? SYS_getpid : random_below(thread, TG_BRING_CALLS),
            .arg = (uint32_t)random_below(thread, 6),
            .max = (uint32_t)(1 + random_below(thread, random_below(thread, 4) ? 64 : TG_BRING_MAX)),
        };
    if (!handle_use(&subprocess->handle, TAKE))
        return;
    result = CALL(thread, tg_subprocess_set_brings(subprocess->handle.object, pieces, n));
    check_allowed(platform, "tg_subprocess_set_brings", result, (const int[]){-EINVAL, -ESRCH, -ENOMEM, 0});
    handle_leave(&subprocess->handle, TAKE);
}

/* The one call that guests make besides those by which they leave. */
static void answer(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    const uint32_t nr = random_below(thread, 8) ? ASKED_CALL : TG_ANSWER_CALLS;
    const uint32_t kind = (uint32_t)random_below(thread, TG_ANSWER_CONTEXT_WORD + 2);
    const uint64_t value = random_below(thread, TG_CONTEXT_WORDS);
    int result;

    if (!handle_use(&subprocess->handle, TAKE))
        return;
    result = CALL(thread, tg_subprocess_answer(subprocess->handle.object, nr, kind, value));
    if (result != (nr < TG_ANSWER_CALLS && kind <= TG_ANSWER_CONTEXT_WORD ? 0 : -EINVAL))
        wrong("tg_subprocess_answer: %d", result);
    handle_leave(&subprocess->handle, TAKE);
}

/* Most platforms have no vDSO of the library's. */
static void set_clocks(struct thread *thread, struct platform *platform)
{
    struct subprocess *subprocess = any(thread, platform);
    const tg_clock clock = {
        .size = sizeof(clock),
        .clock = (uint32_t)random_below(thread, 2),
        .kind = (uint32_t)random_below(thread, TG_CLOCK_TIME + 2),
        .flags = (uint32_t)random_below(thread, TG_CLOCK_FORWARD + 1),
        .base_ns = thread->calls,
    };
    tg_clock now = {.size = sizeof(now)};
    uint64_t ns;
    int result;

    if (!handle_use(&subprocess->handle, TAKE))
        return;
    result = CALL(thread, tg_subprocess_set_clocks(subprocess->handle.object, &clock, 1));
    if (clock.kind > TG_CLOCK_TIME ? result != -EINVAL : result != 0 && result != -EOPNOTSUPP)
        wrong("tg_subprocess_set_clocks: %d", result);
    result = CALL(thread, tg_subprocess_clock(subprocess->handle.object, clock.clock, &now, &ns));
    if (result != 0 && result != -EOPNOTSUPP)
        wrong("tg_subprocess_clock: %d", result);
    handle_leave(&subprocess->handle, TAKE);
}

const struct random_call subprocess_calls[] = {
    {12, create}, {3, copy},       {3, destroy},    {2, kill_stub}, {2, stop_stub},  {8, apply}, {8, map_unmap_protect},
    {3, reload},  {8, read_write}, {4, set_brings}, {6, answer},    {4, set_clocks}, {0, NULL},
};
