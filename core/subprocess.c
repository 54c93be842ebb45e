/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The life of a subprocess and the door through which operations go in. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/backend.h"
#include "core/bring_table.h"
#include "core/clocks_inherit.h"
#include "core/futex.h"
#include "core/subprocess_life.h"

/* subprocess.use: how many are inside, and the mark that nobody may come in any more. */

/* Whoever is inside alone may need locks: no caller holds any that he does. Pairs with subprocess_leave_alone(). */
static void wait_while_alone(struct tg_subprocess *subprocess)
{
    uint32_t use;

    while ((use = atomic_load(&subprocess->use)) & SUBPROCESS_ALONE)
        futex_wait(&subprocess->use, use);
}

bool subprocess_enter(struct tg_subprocess *subprocess)
{
    for (;;) {
        /* Pairs with subprocess_shut() and subprocess_stay_alone(). */
        const uint32_t before = atomic_fetch_add(&subprocess->use, 1);

        if (!(before & (SUBPROCESS_SHUT | SUBPROCESS_ALONE)))
            return true;
        subprocess_leave(subprocess);
        if (before & SUBPROCESS_SHUT)
            return false;
        wait_while_alone(subprocess);
    }
}

int subprocess_enter_alone(struct tg_subprocess *subprocess)
{
    uint32_t use = 0;

    if (atomic_compare_exchange_strong(&subprocess->use, &use, 1))
        return 0;
    return use & SUBPROCESS_SHUT ? -ESRCH : -EBUSY;
}

bool subprocess_stay_alone(struct tg_subprocess *subprocess)
{
    uint32_t use = 1;

    return atomic_compare_exchange_strong(&subprocess->use, &use, SUBPROCESS_ALONE | 1);
}

void subprocess_leave_alone(struct tg_subprocess *subprocess)
{
    if (atomic_fetch_and(&subprocess->use, ~SUBPROCESS_ALONE) & SUBPROCESS_ALONE)
        futex_wake_all(&subprocess->use);
    subprocess_leave(subprocess);
}

void subprocess_leave(struct tg_subprocess *subprocess)
{
    /* Pairs with subprocess_drain(). */
    if (atomic_fetch_sub(&subprocess->use, 1) == (SUBPROCESS_SHUT | 1))
        futex_wake_all(&subprocess->use);
}

void subprocess_shut(struct tg_subprocess *subprocess)
{
    atomic_fetch_or(&subprocess->use, SUBPROCESS_SHUT);
}

/* Pairs with subprocess_leave(): both see the one word. */
void subprocess_drain(struct tg_subprocess *subprocess)
{
    uint32_t use;

    while ((use = atomic_load(&subprocess->use)) != SUBPROCESS_SHUT)
        futex_wait(&subprocess->use, use);
}

const char *subprocess_death_cause(int32_t reason, int32_t status)
{
    if (reason == TG_DEAD_KILLED && status == SIGSYS)
        return ": a seccomp filter that this process had before it opened the platform kills stubs or threads of them";
    return "";
}

int subprocess_create_failed(struct tg_platform *platform, const struct tg_subprocess *from, const char *where, int err)
{
    switch (err) {
    case -EAGAIN:
        return platform_fail(platform, err,
                             "create a subprocess: the host refuses another process; raise RLIMIT_NPROC or the pids "
                             "limit of the cgroup");
    case -EMFILE:
    case -ENFILE:
        return platform_fail(
            platform, -EMFILE,
            "create a subprocess: no descriptor is left; raise RLIMIT_NOFILE (a subprocess takes up to "
            "two)");
    case -ENOMEM:
        return platform_fail(platform, err, "create a subprocess: the host has no memory for another process");
    case -ESRCH:
        if (from)
            return platform_fail(platform, err, "create a subprocess: the stub that it is made from is dead");
        return platform_fail(platform, -EIO,
                             "create a subprocess: the platform's template stub is dead; close the platform and open "
                             "another one");
    default:
        return platform_fail(platform, -EIO, "create a subprocess: %s%s", where, strerror(-err));
    }
}

int subprocess_create(struct tg_platform *platform, struct tg_subprocess *from, struct tg_subprocess **out)
{
    struct tg_subprocess *subprocess;
    int err;

    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, "create a subprocess");
    subprocess = subprocess_new(platform);
    if (!subprocess || bring_table_inherit(subprocess, from)) {
        if (subprocess)
            subprocess_free(subprocess);
        return platform_fail(platform, -ENOMEM, "create a subprocess: no memory for its handle");
    }
    err = platform->ops->subprocess_create(subprocess, from);
    if (err) {
        subprocess_free(subprocess);
        return err;
    }
    bring_table_tell_backend(subprocess);
    clocks_inherit(subprocess, from);
    count(platform, COUNTER_SUBPROCESSES);
    platform_lock(platform);
    list_add_last(&platform->subprocesses, &subprocess->node);
    platform_unlock(platform);
    *out = subprocess;
    return 0;
}

void subprocess_forget(struct tg_subprocess *subprocess, bool last)
{
    if (subprocess->platform->ops->subprocess_forget)
        subprocess->platform->ops->subprocess_forget(subprocess, last);
}

void subprocess_destroy(struct tg_subprocess *subprocess)
{
    struct tg_platform *platform;

    if (!subprocess)
        return;
    platform = subprocess->platform;
    if (!platform_is_ours(platform)) {
        subprocess_forget(subprocess, false);
        return;
    }
    platform_lock(platform);
    list_remove(&subprocess->node);
    platform_unlock(platform);
    uncount(platform, COUNTER_SUBPROCESSES);
    platform->ops->subprocess_destroy(subprocess);
}
