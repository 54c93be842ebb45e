/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "arch/arch_vdso.h"
#include "core/backend.h"
#include "core/guest_clocks.h"
#include "stub/vdso_clocks.h"

_Static_assert(VDSO_CLOCKS == TG_CLOCKS && VDSO_CALL == TG_CLOCK_CALL && VDSO_TIME == TG_CLOCK_TIME, "the header's");

static const char what[] = "clocks of guests";

void guest_clocks_learn(struct tg_platform *platform, uint64_t flags)
{
    if (platform->info.vdso_kind != TG_VDSO_OWN || !tgi_arch_vdso->counter_readable())
        return;
    platform->counter_readable = true;
    platform->counter_steady = tgi_arch_vdso->counter_steady();
    platform->guests_read_counter = !(flags & TG_OPEN_TRAP_TSC);
}

uint64_t guest_clocks_counter(const struct tg_platform *platform)
{
    return platform->counter_readable ? tgi_arch_vdso->counter() : 0;
}

/* ---- arguments ---- */

/* A process's and a thread's go on while it runs, which nobody can say beforehand. */
static bool is_clock(uint32_t clock)
{
    return clock < TG_CLOCKS && clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID;
}

static const char *check(const struct tg_clock *clock)
{
    if (!is_clock(clock->clock))
        return "not the number of a clock that can be set";
    if (clock->kind > TG_CLOCK_TIME)
        return "an unknown kind";
    if (clock->flags & ~(uint32_t)TG_CLOCK_FORWARD)
        return "unknown bits in flags";
    return NULL;
}

static int check_all(struct tg_platform *platform, const struct tg_clock *clocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *wrong = check(&clocks[i]);

        if (wrong)
            return platform_fail(platform, -EINVAL, "%s: clock %zu: %s", what, i, wrong);
    }
    return 0;
}

static int check_counter(struct tg_platform *platform, const struct tg_clock *clocks, size_t n)
{
    for (size_t i = 0; i < n && !platform->guests_read_counter; i++)
        if (clocks[i].kind == TG_CLOCK_TIME && clocks[i].multiplier)
            return platform_fail(platform, -EOPNOTSUPP,
                                 "%s: clock %zu: the counter cannot be read here; use a multiplier of 0, or open "
                                 "without TG_OPEN_TRAP_TSC and without PR_SET_TSC",
                                 what, i);
    return 0;
}

/* ---- the page ---- */

static struct vdso_clock *clocks_of(struct tg_subprocess *subprocess)
{
    return subprocess->platform->ops->subprocess_clocks(subprocess);
}

/* What guests read when the counter shows that; 0: they make the call. */
static uint64_t shown(const struct tg_platform *platform, const struct vdso_clock *clock)
{
    if (clock->kind != VDSO_TIME)
        return 0;
    return vdso_line_at(&clock->line, clock->line.multiplier ? guest_clocks_counter(platform) : 0);
}

static void store_line(struct vdso_clock *clock, const struct tg_clock *from, uint64_t floor_ns)
{
    __atomic_store_n(&clock->kind, from->kind, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->line.base_counter, from->base_counter, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->line.base_ns, from->base_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->line.multiplier, from->multiplier, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->line.floor_ns, floor_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->base_seconds, from->base_ns / VDSO_NS_PER_SECOND, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->base_rest, from->base_ns % VDSO_NS_PER_SECOND, __ATOMIC_RELAXED);
}

/*
 * Guests look at changes before and after they look at the rest: vdso_try_read().
 * Nobody reads the old time any more when the counter is looked at here, so what
 * it makes of that is the latest that anybody can have read. clocks_lock is held.
 */
static void change(const struct tg_platform *platform, struct vdso_clock *clock, const struct tg_clock *to)
{
    const uint32_t changes = clock->changes;
    uint64_t floor_ns = 0;

    /* An exchange, which what follows waits for. */
    __atomic_exchange_n(&clock->changes, changes + 1, __ATOMIC_SEQ_CST);
    if (to->flags & TG_CLOCK_FORWARD)
        floor_ns = shown(platform, clock);
    store_line(clock, to, floor_ns);
    __atomic_store_n(&clock->changes, changes + 2, __ATOMIC_RELEASE);
}

static int enter(struct tg_subprocess *subprocess)
{
    struct tg_platform *platform = subprocess->platform;

    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, what);
    if (platform->info.vdso_kind != TG_VDSO_OWN)
        return platform_fail(platform, -EOPNOTSUPP,
                             "%s: they have no vDSO of the library's own; open with TG_OPEN_VDSO_OWN", what);
    if (!subprocess_enter(subprocess))
        return platform_fail(platform, -ESRCH, "%s: the subprocess is being destroyed", what);
    return 0;
}

int guest_clocks_set(struct tg_subprocess *subprocess, const struct tg_clock *clocks, size_t n)
{
    struct tg_platform *platform = subprocess->platform;
    int err = check_all(platform, clocks, n);

    if (!err)
        err = enter(subprocess);
    if (err)
        return err;
    err = check_counter(platform, clocks, n);
    if (!err) {
        pthread_mutex_lock(&platform->clocks_lock);
        for (size_t i = 0; i < n; i++)
            change(platform, &clocks_of(subprocess)[clocks[i].clock], &clocks[i]);
        pthread_mutex_unlock(&platform->clocks_lock);
    }
    subprocess_leave(subprocess);
    return err;
}

static void copy_out(const struct vdso_clock *clock, struct tg_clock *out)
{
    out->kind = clock->kind;
    if (clock->kind != VDSO_TIME)
        return;
    out->base_counter = clock->line.base_counter;
    out->base_ns = clock->line.base_ns;
    out->multiplier = clock->line.multiplier;
}

int guest_clocks_get(struct tg_subprocess *subprocess, uint32_t clock, struct tg_clock *out, uint64_t *ns)
{
    struct tg_platform *platform = subprocess->platform;
    const struct vdso_clock *of_guest;
    int err =
        is_clock(clock) ? enter(subprocess) : platform_fail(platform, -EINVAL, "%s: there is no clock %u", what, clock);

    if (err)
        return err;
    *out = (struct tg_clock){.size = sizeof(*out), .clock = clock};
    of_guest = &clocks_of(subprocess)[clock];
    pthread_mutex_lock(&platform->clocks_lock);
    copy_out(of_guest, out);
    *ns = shown(platform, of_guest);
    pthread_mutex_unlock(&platform->clocks_lock);
    subprocess_leave(subprocess);
    return 0;
}
