/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stub threads that run guests: making them, waking them, signalling them. */
#include <errno.h>

#include "core/systrap/child.h"
#include "core/systrap/orders.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/stub_filters.h"
#include "core/systrap/workers.h"
#include "stub/systrap_run_ring.h"

void worker_wake(struct systrap_subprocess *subprocess, uint32_t index)
{
    struct systrap_worker *worker = worker_of(subprocess, index);

    count(subprocess->base.platform, COUNTER_FUTEX_WAKES);
    /* Pairs with sleep_until_woken() and rest(), which read it before they look. */
    SHARED_ADD(worker->wake, 1);
    shared_futex_wake(&worker->wake);
}

bool workers_wake_a_sleeper(struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);

    for (uint32_t i = 0; i < n; i++) {
        if (SHARED_LOOK(worker_of(subprocess, i)->asleep)) {
            worker_wake(subprocess, i);
            return true;
        }
    }
    return false;
}

void workers_wake_one(struct systrap_subprocess *subprocess)
{
    const struct systrap_control *control = control_of(subprocess);
    uint32_t usual = systrap_platform(subprocess->base.platform)->workers_usual;

    /*
     * One that looks for work will find it. While the caller is awake it needs a processor too. Pairs with
     * sleep_until_woken() of the worker.
     */
    if (!SHARED_LOOK(control->spinning) && SHARED_LOOK(control->awake) < usual)
        workers_wake_a_sleeper(subprocess);
}

bool workers_backlog(const struct systrap_subprocess *subprocess)
{
    struct systrap_control *control = control_of(subprocess);

    return run_ring_waits(control, 0) || run_ring_waits(control, 1);
}

struct stub_call workers_call(struct systrap_subprocess *subprocess)
{
    uint32_t index = atomic_load(&subprocess->worker_count);

    worker_of(subprocess, index)->index = index;
    return (struct stub_call){
        .nr = tgi_arch.syscalls.clone,
        .args = {SYSTRAP_CLONE_WORKER_FLAGS, 0, 0, 0, 0, index},
    };
}

int workers_note(struct systrap_subprocess *subprocess, const struct answer *answer)
{
    uint32_t index = atomic_load(&subprocess->worker_count);

    if (answer->left || answer->result <= 0)
        return answer->result < 0 ? (int)answer->result : -EIO;
    subprocess->workers[index] = (pid_t)answer->result;
    atomic_store(&subprocess->worker_count, index + 1);
    count(subprocess->base.platform, COUNTER_STUB_THREADS);
    return 0;
}

/* order_lock is held. */
static int make_worker(struct systrap_subprocess *subprocess)
{
    struct answer answer;
    int err;

    orders_of(subprocess)->calls[0] = workers_call(subprocess);
    err = orders_give(subprocess, 1, &answer);
    return err ? err : workers_note(subprocess, &answer);
}

/*
 * None sleeps. One that has no context is about to take what waits, such as one
 * that was just made and has not begun yet. A guest that claims so has no more
 * workers made for itself.
 */
static bool one_is_coming(const struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);

    for (uint32_t i = 0; i < n; i++) {
        if (!SHARED_LOAD(worker_of(subprocess, i)->running))
            return true;
    }
    return false;
}

/*
 * For who waits for events, which may be those of other stubs, and for as long
 * as he likes: one that is stopped does not keep him, nor does somebody who
 * needs something of it.
 */
bool workers_add(struct systrap_subprocess *subprocess)
{
    uint32_t max = systrap_platform(subprocess->base.platform)->workers_max;
    bool added;

    if (workers_wake_a_sleeper(subprocess))
        return true;
    if (atomic_load(&subprocess->worker_count) >= max || one_is_coming(subprocess))
        return false;
    if (pthread_mutex_trylock(&subprocess->order_lock))
        return false;
    added =
        atomic_load(&subprocess->worker_count) < max && !child_is_stopped(subprocess) && make_worker(subprocess) == 0;
    pthread_mutex_unlock(&subprocess->order_lock);
    return added;
}

void worker_kick(struct systrap_subprocess *subprocess, uint32_t index)
{
    if (index < atomic_load(&subprocess->worker_count))
        child_kick(subprocess, subprocess->workers[index]);
}
